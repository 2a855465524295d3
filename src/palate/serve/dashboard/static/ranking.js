// The ranking view: one person's list, and what every click does to it.

import { api } from "./api.js";
import { scaleOf, sidesOf } from "./bars.js";
import { card } from "./card.js";
import { $, debounce, fill, h, icon, memory, tab } from "./dom.js";
import { language, listed, milliseconds, number, plural, t, word } from "./i18n.js";
import { fieldOf, learn, tagText, tags, title } from "./items.js";
import { live } from "./live.js";
import { renderProfile } from "./profile.js";
import { stagesTable } from "./stages.js";
import { talk } from "./talk.js";

const K = 12;
const state = { subject: null, ranking: null, profile: null, moves: null, outcome: null, tag: "", query: "", seen: "auto", busy: false, fresh: null };
const open = new Set();
let alerts = null;
let asked = 0;

function request() {
  const body = { ...state.subject, k: K, explain: true, policy: "greedy", seen: state.seen };
  if (state.query) body.query = state.query;
  if (state.tag) body.filter = { [fieldOf(state.tag)]: { eq: tagText(state.tag) } };
  return body;
}

/** What the anonymous visitor of this tab did; the API keeps no profile that a session id could be asked for. */
const visits = JSON.parse(tab.get("visits") ?? "[]");

function visited(item, type) {
  visits.push({ item, type, timestamp: Date.now(), value: null });
  tab.set("visits", JSON.stringify(visits));
}

async function profileOf(subject) {
  if (subject.user !== undefined) return api.user(subject.user);
  return { known: visits.length > 0, fields: {}, interactions: visits.length, history: [...visits], long_term: [], short_term: [], interests: [] };
}

/** Asks for the list (and, with `person`, the profile) again. Answers that a later click overtook are dropped. */
async function load({ person = true, compare = null, outcome = null } = {}) {
  const mine = ++asked;
  state.busy = true;
  renderOutcome();
  const before = performance.now();
  try {
    const answer = await api.recommend(request());
    const took = performance.now() - before;
    const profile = person ? await profileOf(state.subject) : state.profile;
    if (mine !== asked) return;
    const named = answer.items.flatMap((item) => [item.id, ...(item.reasons ?? []).flatMap((r) => r.items ?? []), ...(item.contributions ?? []).flatMap((c) => (c.sources ?? []).map((s) => s.item))]);
    await learn([...named, ...profile.history.map((entry) => entry.item)]);
    if (mine !== asked) return;
    state.busy = false;
    state.moves = compare && movesBetween(compare, answer);
    state.outcome = outcome && { ...outcome, took, ...difference(compare, answer) };
    state.ranking = answer;
    state.profile = profile;
    render();
  } catch (error) {
    if (mine !== asked) return;
    state.busy = false;
    alerts.show(error, () => load());
    render();
  }
}

function movesBetween(old, now) {
  const was = new Map(old.items.map((item) => [item.id, item.position]));
  const moves = new Map();
  for (const item of now.items) {
    const by = was.has(item.id) ? was.get(item.id) - item.position : null;
    moves.set(item.id, by === null ? { kind: "new" } : by === 0 ? { kind: "same" } : { kind: by > 0 ? "up" : "down", by: Math.abs(by) });
  }
  return moves;
}

function difference(old, now) {
  const was = new Map(old.items.map((item) => [item.id, item]));
  const kept = now.items.filter((item) => was.has(item.id));
  return {
    moved: kept.filter((item) => was.get(item.id).position !== item.position).length,
    came: now.items.length - kept.length,
    rescored: kept.filter((item) => was.get(item.id).score !== item.score).length,
    as_of: now.as_of,
  };
}

let queue = Promise.resolve();

/** Clicks wait for one another, so that a quick second one is neither lost nor compared with an old list. */
function interact(kind, item) {
  const { subject } = state;
  queue = queue.then(() => (subject === state.subject ? send(kind, item, subject) : null));
}

async function send(kind, item, subject) {
  alerts.clear();
  const compare = state.ranking;
  const before = performance.now();
  try {
    const result = await api.event({ event: "interaction", ...subject, item: item.id, type: kind, ranking: compare.ranking });
    if (subject !== state.subject) return;
    if (result.rejected.length > 0) throw new Error(t("notice.rejected", { error: result.rejected[0].error }));
    if (subject.user === undefined) visited(item.id, kind);
    state.fresh = item.id;
    settle();
    await load({ compare, outcome: { kind, item: item.id, seq: result.seq, stored: performance.now() - before } });
    live.refresh();
  } catch (error) {
    alerts.show(error);
    render();
  }
}

function act(kind, item) {
  if (kind === "like" || kind === "hide") return interact(kind, item);
  if (kind === "tag") return setTag(item);
  if (open.has(item.id)) open.delete(item.id);
  else open.add(item.id);
  renderCards();
}

/** The person changed what is known of them: `work` says it, and the list shows what that moved. */
async function corrected(work) {
  const { subject } = state;
  alerts.clear();
  try {
    await work();
    if (subject === state.subject) await load({ compare: state.ranking });
    live.refresh();
  } catch (error) {
    alerts.show(error);
  }
}

function setTag(tag) {
  state.tag = state.tag === tag ? "" : tag;
  changed(false);
}

/** The question changed, so there is nothing to compare with. */
function changed(person) {
  state.outcome = null;
  state.fresh = null;
  load({ person });
}

function outcomeText() {
  const { outcome } = state;
  if (!outcome) return null;
  const name = title(outcome.item);
  const facts = [t(outcome.kind === "like" ? "outcome.liked" : "outcome.hidden", { title: name })];
  if (outcome.moved > 0) facts.push(plural("outcome.moved", outcome.moved));
  if (outcome.came > 0) facts.push(plural("outcome.new", outcome.came));
  if (outcome.moved + outcome.came === 0) facts.push(outcome.rescored > 0 ? t("outcome.scores", { count: outcome.rescored }) : t("outcome.still"));
  const total = outcome.stored + outcome.took;
  const speed = t("outcome.time", { total: milliseconds(total), event: milliseconds(outcome.stored), rank: milliseconds(outcome.took) });
  const truth = t("outcome.reflects", { as_of: number(outcome.as_of), seq: number(outcome.seq) });
  return [h("strong", {}, facts.join(language() === "zh" ? "" : " ")), " ", h("span", {}, `${speed} ${truth}`)];
}

function renderOutcome() {
  $("cards").setAttribute("aria-busy", String(state.busy));
  if (!state.busy) fill($("outcome"), outcomeText());
}

function notice(kind, name, text) {
  return h("p", { class: `notice ${kind}` }, icon(name), h("span", {}, text));
}

function renderNotices() {
  const { ranking, outcome } = state;
  const notes = [];
  if (ranking?.degraded.length > 0) notes.push(notice("problem", "alert", t("notice.degraded", { what: listed(ranking.degraded.map((what) => word("degraded", what))) })));
  if (outcome && outcome.as_of < outcome.seq) notes.push(notice("problem", "alert", t("notice.behind", { as_of: outcome.as_of, seq: outcome.seq })));
  if (ranking?.cold.user) notes.push(notice("info", "cold", t("notice.cold")));
  if (ranking?.cold.items > 0) notes.push(notice("info", "cold", plural("notice.cold_items", ranking.cold.items)));
  fill($("notices"), notes);
}

function positions() {
  return new Map([...$("cards").children].map((node) => [node.dataset.id, node.getBoundingClientRect().top]));
}

/** Cards slide from where they stood to where they stand (FLIP), unless the reader asked for less motion. */
function slide(from) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || from.size === 0) return;
  for (const node of $("cards").children) {
    const was = from.get(node.dataset.id);
    const shift = was === undefined ? null : was - node.getBoundingClientRect().top;
    if (shift === null) node.animate([{ opacity: 0, transform: "translateX(16px)" }, { opacity: 1, transform: "none" }], { duration: 420, easing: "ease-out" });
    else if (Math.abs(shift) > 1) node.animate([{ transform: `translateY(${shift}px)` }, { transform: "none" }], { duration: 480, easing: "cubic-bezier(.2,.8,.2,1)" });
  }
}

/** Which card has the keyboard, and with which of its buttons. */
function focused() {
  const card = document.activeElement?.closest("#cards > li");
  return card ? { id: card.dataset.id, action: document.activeElement.dataset.action, at: [...card.parentNode.children].indexOf(card) } : null;
}

/**
 * The focus follows its item. Where that has left the list, the card in its place has the focus, not a button of it:
 * whoever presses Enter once more must not like a film that they never chose.
 */
function restore({ id, action, at }) {
  const cards = [...$("cards").children];
  const same = cards.find((node) => node.dataset.id === id);
  const place = same?.querySelector(`[data-action="${action}"]`) ?? same ?? cards[Math.min(at, cards.length - 1)] ?? $("ranking-title");
  place.focus({ preventScroll: true });
}

/** The pointer stands where the old list had its button: until it moves, nothing under it is what it was put on. */
function settle() {
  const list = $("cards");
  list.classList.add("settling");
  addEventListener("pointermove", () => list.classList.remove("settling"), { once: true });
}

function renderCards(animate = false) {
  const list = $("cards");
  const focus = focused();
  const from = animate ? positions() : new Map();
  const items = state.ranking?.items ?? [];
  const [scale, sides] = [scaleOf(items), sidesOf(items)];
  fill(list, items.map((item) => card(item, { move: state.moves?.get(item.id), scale, sides, open: open.has(item.id), act, fresh: state.fresh, ranking: state.ranking?.ranking })));
  if (animate) slide(from);
  if (focus) restore(focus);
}

function renderHead() {
  const { subject, ranking } = state;
  if (!subject) return;
  $("ranking-title").textContent = subject.user === undefined ? t("ranking.anonymous") : t("ranking.for", { name: subject.user });
  if (!ranking) return;
  const ms = ranking.stages.reduce((total, stage) => total + stage.ms, 0);
  const meta = t("ranking.meta", { ms: milliseconds(ms), model: ranking.model, as_of: number(ranking.as_of) });
  $("ranking-meta").textContent = `${meta} · ${t(`ranking.seen_${ranking.seen}`)}`;
}

function renderTags() {
  const select = $("tag");
  const names = new Set([state.tag, ...(state.profile?.long_term ?? []).map((entry) => entry.tag), ...(state.ranking?.items ?? []).flatMap((item) => tags(item.id).map((tag) => tag.tag))]);
  names.delete("");
  const sorted = [...names].sort((a, b) => tagText(a).localeCompare(tagText(b)));
  fill(select, h("option", { value: "" }, t("controls.all_tags")), sorted.map((tag) => h("option", { value: tag }, tagText(tag))));
  select.value = state.tag;
}

function renderEmpty() {
  if (!state.ranking || state.ranking.items.length > 0) return;
  $("notices").append(notice("info", "alert", t("ranking.empty")));
}

function render() {
  renderHead();
  renderOutcome();
  renderNotices();
  renderEmpty();
  renderTags();
  renderCards(true);
  $("line").hidden = !state.ranking;
  if (state.ranking) fill($("stages"), stagesTable(state.ranking));
  talk.render();
  if (state.subject && state.profile) renderProfile(state.subject, state.profile, setTag, corrected);
}

export const ranking = {
  start(given) {
    alerts = given;
    state.seen = memory.get("seen") ?? "auto";
    $("seen").value = state.seen;
    $("controls").addEventListener("submit", (event) => event.preventDefault());
    talk.start({ alerts, subject: () => state.subject, heard: () => load({ compare: state.ranking }) });
    const later = debounce(() => changed(false), 180);
    $("query").addEventListener("input", (event) => {
      state.query = event.target.value.trim();
      later();
    });
    $("tag").addEventListener("change", (event) => {
      state.tag = event.target.value;
      changed(false);
    });
    $("seen").addEventListener("change", (event) => {
      state.seen = event.target.value;
      memory.set("seen", state.seen);
      changed(false);
    });
  },

  choose(subject) {
    Object.assign(state, { subject, moves: null, outcome: null, fresh: null, tag: "" });
    open.clear();
    alerts.clear();
    talk.forget();
    load();
  },

  render,
};
