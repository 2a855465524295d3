// What each language part gains, from the logs, beside what it costs.

import { api } from "./api.js";
import { h } from "./dom.js";
import { milliseconds, number, percent, score, signed, t, word } from "./i18n.js";

let found = null;
let busy = false;

async function look(alerts, render) {
  if (busy) return;
  busy = true;
  render();
  try {
    found = await api.worth();
  } catch (error) {
    alerts.show(error);
  } finally {
    busy = false;
    render();
  }
}

function gain(part) {
  const { value, low, high } = part.gain;
  if (value === null || value === undefined) return "–";
  const range = low === null || low === undefined ? "" : ` [${score(low)}, ${score(high)}]`;
  return `${signed(value)}${range}${part.relative === null || part.relative === undefined ? "" : ` (${percent(part.relative)})`}`;
}

function row(part) {
  const { cost } = part;
  const tokens = cost.tokens_in + cost.tokens_out;
  const cells = [cost.asked ? number(cost.asked) : "", cost.used === null || cost.used === undefined ? "" : number(cost.used), tokens ? number(tokens) : "", cost.ms === null || cost.ms === undefined ? "" : milliseconds(cost.ms), cost.money === null || cost.money === undefined ? "" : number(cost.money)];
  return h(
    "tr",
    { data: { part: part.part } },
    h("th", { scope: "row" }, word("worth", part.part)),
    h("td", { class: "figure" }, gain(part)),
    h("td", { class: "verdict" }, word("verdict", part.verdict), part.needed && part.verdict === "can't tell" ? h("div", { class: "soft small" }, t("worth.needed", { count: number(part.needed) })) : null),
    cells.map((cell) => h("td", { class: "figure" }, cell)),
  );
}

/** Of the models page. */
export function worthPanel(alerts, render) {
  const heads = ["part", "gain", "verdict", "asked", "used", "tokens", "ms", "money"].map((key) => h("th", { scope: "col" }, t(`worth.${key}`)));
  const grid = found && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("worth.title") }, h("table", { class: "grid gains" }, h("thead", {}, h("tr", {}, heads)), h("tbody", {}, found.parts.map(row))));
  return h(
    "section",
    { class: "panel" },
    h("div", { class: "head" }, h("h2", {}, t("worth.title")), h("div", { class: "actions" }, h("button", { type: "button", disabled: busy, data: { action: "worth" }, on: { click: () => look(alerts, render) } }, busy ? t("worth.reading") : t("worth.look")))),
    h("p", { class: "lead" }, t("worth.lead")),
    grid,
  );
}
