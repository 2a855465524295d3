// The last replay: what another configuration would have brought on the rankings in the log, with intervals.

import { api } from "./api.js";
import { h, icon } from "./dom.js";
import { has, language, number, percent, score, signed, t, translated } from "./i18n.js";
import { css, draw, whiskers } from "./plot.js";

let found; // undefined: not asked yet; null: there is none

/** Asks for it. */
export async function loadReplay() {
  found = await api.replay();
}

/** A remark of the report; one that isn't known here stays English, and says so to who reads it aloud. */
function remark({ text }) {
  const mine = translated(text, "replay.note.");
  return h("li", mine === text && language() !== "en" ? { lang: "en" } : {}, mine);
}

const estimator = (name) => (has(`replay.${name}`) ? t(`replay.${name}`) : name);
const known = (one) => typeof one?.value === "number";

/** What is said beside the numbers: counts, what was left out, overlap, verdict. */
function sentences() {
  const { overlap } = found;
  const skipped = Object.entries(found.skipped).sort().map(([why, count]) => `${number(count)} (${has(`replay.skip.${why}`) ? t(`replay.skip.${why}`) : why})`);
  const counted = { judged: found.judged_on, decisions: found.decisions, people: found.people, rewarded: found.rewarded };
  const lines = [t("replay.counts", Object.fromEntries(Object.entries(counted).map(([name, count]) => [name, number(count)])))];
  if (skipped.length > 0) lines.push(t("replay.skipped", { what: skipped.join(language() === "zh" ? "、" : ", ") }));
  if (overlap !== null)
    lines.push(
      t("replay.overlap", {
        effective: number(Math.round(overlap.effective)),
        share: percent(overlap.share),
        largest: score(overlap.largest),
        clipped: number(overlap.clipped),
        clip: overlap.clip === null ? "∞" : score(overlap.clip),
      }),
    );
  return lines.map((text) => h("li", {}, text));
}

function verdict() {
  const sure = found.verdict === "judged";
  const text = sure ? "replay.judged" : Object.keys(found.estimates).length > 0 ? "replay.cannot" : "replay.nothing";
  return h("p", { class: "notice info", "data-verdict": found.verdict }, sure ? null : icon("alert"), h("span", {}, t(text)));
}

const named = () => [["logged", found.logged], ...Object.entries(found.estimates)].filter(([, one]) => known(one));

function table() {
  const heads = ["estimator", "value", "low", "high", "sure"].map((key) => h("th", { scope: "col" }, t(`replay.${key}`)));
  const rows = [...named(), ...(known(found.lift) ? [["lift", found.lift]] : [])].map(([name, one]) => {
    const shown = name === "lift" ? signed : score;
    const cells = [one.value, one.low, one.high].map(shown);
    return h("tr", { data: { estimator: name } }, h("th", { scope: "row" }, estimator(name)), [...cells, score(found.bernstein[name])].map((text) => h("td", { class: "figure" }, text)));
  });
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("replay.title") }, h("table", { class: "grid" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, rows)));
}

function points() {
  const shown = named().reverse();
  const trace = {
    type: "scatter",
    mode: "markers",
    y: shown.map(([name]) => estimator(name)),
    x: shown.map(([, one]) => one.value),
    marker: { size: 10, color: shown.map(([name]) => css(name === "logged" ? "ink" : "accent")) },
    error_x: whiskers(shown.map(([, one]) => one)),
    hovertemplate: "%{y}: %{x:.4f}<extra></extra>",
  };
  const more = {
    height: 90 + 36 * shown.length,
    margin: { l: 8, r: 24, t: 8, b: 44 },
    xaxis: { gridcolor: css("line"), zerolinecolor: css("line-strong"), fixedrange: true },
    yaxis: { automargin: true, ticksuffix: "  ", fixedrange: true },
  };
  return { traces: [trace], more };
}

function content() {
  if (found === null) return [h("p", {}, t("replay.empty")), h("pre", {}, h("code", {}, `palate replay --config new.toml --dir ${document.body.dataset.folder}`))];
  const about = {
    model: found.model,
    reward: found.reward === "weights" ? t("replay.reward.weights") : found.reward,
    minutes: found.window_minutes,
    variant: has(`replay.${found.variant}`) ? t(`replay.${found.variant}`, { depth: found.depth }) : found.variant,
  };
  const remarks = [...found.reasons, ...found.notes];
  const parts = [h("p", { class: "soft" }, t("replay.about", about)), verdict(), h("ul", { class: "sentences" }, sentences(), remarks.map(remark))];
  if (Object.keys(found.estimates).length > 0) {
    const plot = h("div", { class: "plot", role: "img", "aria-label": t("replay.plot") });
    queueMicrotask(() => draw(plot, points()));
    parts.push(plot, table());
  }
  return parts;
}

/** Of the evaluation page; null until it was asked for. */
export function replayPanel() {
  if (found === undefined) return null;
  return h("section", { class: "panel", id: "replay" }, h("h2", {}, t("replay.title")), h("p", { class: "lead" }, t("replay.lead")), content());
}
