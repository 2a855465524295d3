// What a model goes by: importance and dependence of its features, rules that stand for it, and what was taken up.

import { api } from "./api.js";
import { h } from "./dom.js";
import { featureName, language, number, percent, score, t } from "./i18n.js";
import { css, draw } from "./plot.js";

const SHOWN = 12;
let found = null;
let feature = "";
let busy = false;
let node = null;
let drawn = "";

async function look(version, alerts, render) {
  if (busy) return;
  busy = true;
  render();
  try {
    found = await api.importance(version);
    feature = found.features.find((one) => one.curve.length > 0)?.feature ?? "";
  } catch (error) {
    alerts.show(error);
  } finally {
    busy = false;
    render();
  }
}

const top = () => found.features.filter((one) => one.importance > 0 || one.gain > 0).slice(0, SHOWN);
const size = (one) => (found.rows > 0 ? one.share : one.gain);
const groupName = (one) => (language() === "zh" ? one.chinese : one.name);

function grid(label, heads, rows) {
  const head = heads.map((text) => h("th", { scope: "col" }, text));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", { class: "grid" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

function bars() {
  const shown = top().reverse();
  const node = h("div", { class: "plot", role: "img", "aria-label": t("importance.plot") });
  const trace = { type: "bar", orientation: "h", y: shown.map((one) => featureName(one.feature)), x: shown.map(size), marker: { color: css("accent") }, hovertemplate: "%{y}: %{x:.1%}<extra></extra>" };
  const more = { height: 90 + 28 * shown.length, margin: { l: 8, r: 24, t: 8, b: 44 }, bargap: 0.4, xaxis: { title: { text: t("importance.share") }, tickformat: ".0%", gridcolor: css("line"), rangemode: "tozero", fixedrange: true }, yaxis: { automargin: true, ticksuffix: "  ", fixedrange: true } };
  queueMicrotask(() => draw(node, { traces: [trace], more }));
  return node;
}

function curve(render) {
  const some = found.features.filter((one) => one.curve.length > 0);
  const chosen = some.find((one) => one.feature === feature);
  if (!chosen) return null;
  const select = h("select", { on: { change: (event) => ((feature = event.target.value), render()) } }, some.map((one) => h("option", { value: one.feature }, featureName(one.feature))));
  select.value = feature;
  const node = h("div", { class: "plot", role: "img", "aria-label": t("importance.dependence", { feature: featureName(feature) }) });
  const x = chosen.curve.map((bin) => bin.value);
  const line = (pick, extra) => ({ type: "scatter", x, y: chosen.curve.map(pick), hoverinfo: "skip", showlegend: false, line: { width: 0 }, mode: "lines", ...extra });
  const traces = [
    line((bin) => bin.low, {}),
    line((bin) => bin.high, { fill: "tonexty", fillcolor: "rgba(128,128,128,0.22)" }),
    line((bin) => bin.contribution, { mode: "lines+markers", line: { width: 2, color: css("accent") }, hoverinfo: "all", customdata: chosen.curve.map((bin) => bin.rows), hovertemplate: "%{x:.3g}: %{y:.3f} (%{customdata})<extra></extra>" }),
  ];
  const more = { height: 300, margin: { l: 56, r: 24, t: 8, b: 48 }, xaxis: { title: { text: featureName(feature) }, gridcolor: css("line"), zerolinecolor: css("line-strong"), fixedrange: true }, yaxis: { title: { text: t("importance.contribution") }, gridcolor: css("line"), zerolinecolor: css("line-strong"), fixedrange: true } };
  queueMicrotask(() => draw(node, { traces, more }));
  return [h("label", { class: "field select" }, h("span", {}, t("importance.of")), select), node];
}

function table() {
  const cell = (value) => h("td", { class: "figure" }, value);
  const rows = top().map((one) => h("tr", {}, h("th", { scope: "row" }, featureName(one.feature)), cell(score(one.importance)), cell(percent(one.share)), cell(percent(one.gain))));
  return grid(t("importance.title"), ["importance.feature", "importance.mean", "importance.share", "importance.gain"].map((key) => t(key)), rows);
}

function groups() {
  const rows = found.groups.map((one) => h("tr", {}, h("th", { scope: "row" }, groupName(one)), h("td", { class: "track" }, h("span", { class: "bar", vars: { share: `${100 * one.share}%` }, "aria-hidden": "true" }, h("i", {}))), h("td", { class: "figure" }, percent(one.share))));
  return grid(t("importance.groups"), [t("importance.group"), h("span", { class: "sr" }, t("importance.share")), t("importance.share")], rows);
}

function rules() {
  const { surrogate } = found;
  if (!surrogate) return null;
  const test = (one) => `${featureName(one.feature)} ${one.sign === "<=" ? "≤" : ">"} ${score(one.threshold)}`;
  const item = (rule) => h("li", {}, h("b", {}, score(rule.score)), " ", rule.conditions.map(test).join(t("importance.and")) || t("importance.always"), h("small", { class: "soft" }, ` (${number(rule.rows)})`));
  return [h("h3", {}, t("importance.rules")), h("p", { class: "soft small" }, t("importance.fidelity", { fidelity: surrogate.fidelity.toFixed(3) })), h("ol", { class: "rules" }, surrogate.rules.map(item))];
}

function confusion() {
  const { confusion: one } = found;
  if (!one) return null;
  const row = (key, taken, left) => h("tr", {}, h("th", { scope: "row" }, t(key)), h("td", { class: "figure" }, number(taken)), h("td", { class: "figure" }, number(left)));
  const heads = [h("span", { class: "sr" }, t("importance.confusion")), t("importance.taken"), t("importance.left")];
  return [
    h("h3", {}, t("importance.confusion")),
    grid(t("importance.confusion"), heads, [row("importance.first", one.first_taken, one.first_left), row("importance.below", one.below_taken, one.below_left)]),
    h("p", { class: "soft small" }, t("importance.precision", { decisions: number(one.decisions), precision: percent(one.precision ?? 0), recall: percent(one.recall ?? 0) })),
  ];
}

function content(render) {
  const basis = t(`importance.basis.${found.source}`, { version: found.version, decisions: number(found.decisions), rows: number(found.rows) });
  return [
    h("p", { class: "soft small" }, basis),
    h("h3", {}, t("importance.groups")), groups(),
    h("h3", {}, t("importance.title")), bars(), table(),
    found.rows > 0 && [h("h3", {}, t("importance.curves")), curve(render)],
    rules(),
    confusion(),
  ];
}

/** The panel for the model that serves; the same node while nothing of it changes. `render` draws the view anew. */
export function importancePanel(version, alerts, render) {
  const now = JSON.stringify([version, busy, language(), feature, found?.version]);
  if (now !== drawn) [drawn, node] = [now, panel(version, alerts, render)];
  return node;
}

function panel(version, alerts, render) {
  const action = h("button", { type: "button", disabled: busy, on: { click: () => look(version, alerts, render) } }, busy ? t("importance.busy") : t("importance.look", { version }));
  return h(
    "section",
    { class: "panel importance" },
    h("div", { class: "head" }, h("h2", {}, t("importance.head")), h("div", { class: "actions" }, action)),
    h("p", { class: "lead" }, t("importance.lead")),
    found && content(render),
  );
}
