// What an item stands on, by group, and what would move it: counterfactuals that the service ranks for real.

import { api } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { language, number, plural, signed, t, word } from "./i18n.js";
import { learn, title } from "./items.js";

const OUTSIDE = new Set(["policy", "rules", "language"]);
const told = new Map(); // "ranking item" → explanation, for as long as the page lives
const said = new Map(); // "ranking item language" → the reasons as a text
const MOST = 200;

async function ask(node, ranking, id) {
  fill(node, h("p", { class: "soft small" }, t("why.asking")));
  const key = `${ranking} ${id}`;
  try {
    const found = await api.explain(ranking, id);
    await learn((found.counterfactuals?.changes ?? []).map((one) => one.item));
    if (told.size >= MOST) told.delete(told.keys().next().value);
    told.set(key, found);
    show(node, found);
  } catch (error) {
    fill(node, h("p", { class: "notice problem" }, icon("alert"), h("span", {}, error.message)), button(node, ranking, id));
  }
}

function button(node, ranking, id) {
  return h("button", { type: "button", class: "quiet", data: { action: "changes" }, on: { click: () => ask(node, ranking, id) } }, t("why.ask"));
}

function groups(found) {
  const inside = found.groups.filter((one) => !OUTSIDE.has(one.group));
  const scale = Math.max(...inside.map((one) => Math.abs(one.contribution)), 1e-9);
  const bar = (one) => h("span", { class: one.contribution < 0 ? "bar against" : "bar", vars: { share: `${(100 * Math.abs(one.contribution)) / scale}%` }, "aria-hidden": "true" }, h("i", {}));
  const name = (one) => (language() === "zh" ? one.chinese : one.name);
  const rows = inside.map((one) => h("tr", {}, h("th", { scope: "row" }, name(one)), h("td", { class: "track" }, bar(one)), h("td", { class: "figure" }, signed(one.contribution))));
  const outside = found.groups.filter((one) => OUTSIDE.has(one.group)).map(name);
  return [
    h("div", { class: "breakdown groups" }, h("table", {}, h("tbody", {}, rows))),
    outside.length > 0 && h("p", { class: "soft small" }, t("why.outside", { what: outside.join(", ") })),
  ];
}

function change(found, one) {
  const before = found.counterfactuals.position;
  const kind = one.position === null || one.position === undefined ? "gone" : one.position === before ? "same" : one.position > before ? "fall" : "rise";
  const event = t(`why.${one.kind}`, { type: word("noun", one.type), title: title(one.item) });
  return h("li", { class: kind }, event, " ", h("b", {}, t(`why.${kind}`, { before: number(before ?? 0), after: number(one.position ?? 0) })));
}

function show(node, found) {
  const again = found.counterfactuals;
  const changes = again?.changes ?? [];
  fill(
    node,
    groups(found),
    again && h("p", { class: "soft small" }, plural("why.again", again.candidates), " ", again.position ? t("why.place", { place: number(again.position) }) : ""),
    changes.length > 0 ? h("ul", { class: "changes" }, changes.map((one) => change(found, one))) : h("p", { class: "soft small" }, t("why.nothing")),
  );
}

async function say(node, ranking, id) {
  const key = `${ranking} ${id} ${language()}`;
  fill(node, h("p", { class: "soft small" }, t("why.wording")));
  try {
    const found = (await api.words(ranking, id, language())).words;
    if (said.size >= MOST) said.delete(said.keys().next().value);
    said.set(key, found);
    worded(node, found);
  } catch (error) {
    fill(node, h("p", { class: "notice problem" }, icon("alert"), h("span", {}, error.message)), sayButton(node, ranking, id));
  }
}

function sayButton(node, ranking, id) {
  return h("button", { type: "button", class: "quiet", data: { action: "words" }, on: { click: () => say(node, ranking, id) } }, t("why.words"));
}

function worded(node, found) {
  const why = (found.degraded ?? []).filter((one) => one !== "generator_off").map((one) => word("degraded", one)).join(", ");
  const by = found.ai_generated ? t("why.ai") : why ? t("why.template_since", { why }) : t("why.template");
  fill(node, h("p", { class: "worded", lang: found.language === "zh" ? "zh-CN" : "en" }, found.text), h("p", { class: "soft small" }, by));
}

/** Below an item's contributions. */
export function more(ranking, id) {
  const node = h("div", { class: "more", "aria-live": "polite" });
  const found = told.get(`${ranking} ${id}`);
  if (found) show(node, found);
  else fill(node, button(node, ranking, id));
  const words = h("div", { class: "more", "aria-live": "polite" });
  const text = said.get(`${ranking} ${id} ${language()}`);
  if (text) worded(words, text);
  else fill(words, sayButton(words, ranking, id));
  return [words, node];
}
