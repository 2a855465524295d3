// The last evaluation: every system beside the model, as bars with intervals and as a table. Below it the last replay.

import { api } from "./api.js";
import { $, fill, h } from "./dom.js";
import { has, t } from "./i18n.js";
import { css, draw, whiskers } from "./plot.js";
import { loadReplay, replayPanel } from "./replayed.js";

const choice = { metric: "ndcg", group: "all", seen: "drop" };
let result; // undefined: not asked yet; null: there is none
let alerts = null;

async function load() {
  try {
    [result] = await Promise.all([api.evaluation(), loadReplay()]);
  } catch (error) {
    return alerts.show(error, load);
  }
  evaluation.render();
}

function tables() {
  return { all: result.systems, warm: result.warm, cold_users: result.cold?.users, cold_items: result.cold?.items };
}

const metricName = (name) => (has(`metric.${name}`) ? t(`metric.${name}`) : name);
const figure = (estimate) => (estimate?.value === null || estimate?.value === undefined ? "–" : estimate.value.toFixed(4));

/** The chosen table as rows [system, metric → estimate], best first. */
function rowsOf(table) {
  const rows = Object.entries(table ?? {}).map(([system, seen]) => [system, seen[choice.seen] ?? {}]).filter(([, row]) => Object.keys(row).length > 0);
  return rows.sort(([, a], [, b]) => (b[choice.metric]?.value ?? -Infinity) - (a[choice.metric]?.value ?? -Infinity));
}

function select(key, options, label) {
  const node = h("select", { on: { change: (event) => ((choice[key] = event.target.value), evaluation.render()) } }, options.map(([value, text]) => h("option", { value }, text)));
  node.value = choice[key];
  return h("label", { class: "field select" }, h("span", {}, label), node);
}

function controls(metrics, seens) {
  return h(
    "div",
    { class: "controls" },
    select("metric", metrics.map((name) => [name, metricName(name)]), t("evaluation.metric")),
    select("group", Object.keys(tables()).map((name) => [name, t(`evaluation.group.${name}`)]), t("evaluation.group")),
    seens.length > 1 && select("seen", seens.map((name) => [name, t(`seen.${name}`)]), t("evaluation.seen")),
  );
}

function table(rows, metrics) {
  const head = metrics.map((name) =>
    h("th", { scope: "col", "aria-sort": name === choice.metric ? "descending" : null }, h("button", { type: "button", class: "quiet", on: { click: () => ((choice.metric = name), evaluation.render()) } }, metricName(name))),
  );
  const body = rows.map(([system, row]) =>
    h("tr", { class: system === "palate" ? "active" : null }, h("th", { scope: "row" }, system), metrics.map((name) => {
      const estimate = row[name];
      const range = typeof estimate?.low === "number" ? h("small", {}, `${figure({ value: estimate.low })} – ${figure({ value: estimate.high })}`) : null;
      return h("td", { class: "figure" }, figure(estimate), range);
    })),
  );
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("evaluation.title") }, h("table", { class: "grid" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("evaluation.system")), head)), h("tbody", {}, body)));
}

function bars(rows) {
  const shown = rows.filter(([, row]) => typeof row[choice.metric]?.value === "number").reverse();
  const estimates = shown.map(([, row]) => row[choice.metric]);
  const trace = {
    type: "bar",
    orientation: "h",
    y: shown.map(([system]) => system),
    x: estimates.map((estimate) => estimate.value),
    marker: { color: shown.map(([system]) => css(system === "palate" ? "accent" : "bar-plain")) },
    error_x: whiskers(estimates),
    hovertemplate: "%{y}: %{x:.4f}<extra></extra>",
  };
  const more = {
    height: 90 + 42 * shown.length,
    margin: { l: 8, r: 24, t: 8, b: 44 },
    bargap: 0.38,
    xaxis: { title: { text: metricName(choice.metric) }, gridcolor: css("line"), zerolinecolor: css("line-strong"), rangemode: "tozero", fixedrange: true },
    yaxis: { automargin: true, ticksuffix: "  ", fixedrange: true },
  };
  return { traces: [trace], more };
}

function protocol() {
  const { sentences = [], ...facts } = result.protocol ?? {};
  const rows = Object.entries(facts).map(([name, value]) =>
    h("div", {}, h("dt", {}, name.replaceAll("_", " ")), h("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))),
  );
  return h(
    "details",
    { class: "protocol" },
    h("summary", {}, t("evaluation.protocol")),
    h("ul", { class: "sentences" }, sentences.map((text) => h("li", {}, text))),
    h("dl", { class: "facts wide" }, rows),
  );
}

function content() {
  if (result === null) return [h("p", {}, t("evaluation.empty")), h("pre", {}, h("code", {}, `palate evaluate --data movies --dir ${document.body.dataset.folder}`))];
  const first = Object.values(result.systems)[0] ?? {};
  const seens = Object.keys(first);
  if (!seens.includes(choice.seen)) choice.seen = seens[0];
  const metrics = Object.keys(first[choice.seen] ?? {});
  if (!metrics.includes(choice.metric)) choice.metric = metrics[0];
  const rows = rowsOf(tables()[choice.group]);
  if (rows.length === 0) return [controls(metrics, seens), h("p", { class: "soft" }, t("evaluation.nothing"))];
  const plot = h("div", { class: "plot", role: "img", "aria-label": t("evaluation.plot", { metric: metricName(choice.metric) }) });
  queueMicrotask(() => draw(plot, bars(rows)));
  return [controls(metrics, seens), plot, table(rows, metrics), h("p", { class: "soft small" }, t("evaluation.hint")), protocol()];
}

export const evaluation = {
  start(given) {
    alerts = given;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => evaluation.render());
  },

  open: load,

  render() {
    if (result === undefined) return;
    fill($("evaluation"), h("section", { class: "panel" }, h("h1", {}, t("evaluation.title")), h("p", { class: "lead" }, t("evaluation.lead")), content()), replayPanel());
  },
};
