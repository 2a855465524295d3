// Experiments: who is in which arm, what they did, and the differences with intervals that hold whenever one looks.

import { api } from "./api.js";
import { $, fill, h, icon } from "./dom.js";
import { language, moment, number, t, translated } from "./i18n.js";

/** A note of the report; one that isn't known here stays English, and says so to who reads it aloud. */
const said = (text) => {
  const mine = translated(text, "experiment.note.");
  return h("li", mine === text && language() !== "en" ? { lang: "en" } : {}, mine);
};

let all = null; // null: not asked yet
let chosen = "";
let report = null;
let busy = false;
let alerts = null;

async function load() {
  try {
    all = (await api.experiments()).experiments;
    if (!all.some((one) => one.name === chosen)) chosen = (all.findLast((one) => !one.stopped) ?? all.at(-1))?.name ?? "";
    await judge();
  } catch (error) {
    alerts.show(error, load);
  }
  experiments.render();
}

async function judge() {
  report = chosen ? await api.experiment(chosen) : null;
}

async function choose(name) {
  chosen = name;
  await judge().catch(alerts.show);
  experiments.render();
}

async function stop() {
  if (busy) return;
  busy = true;
  alerts.clear();
  await api.stopExperiment(chosen).catch(alerts.show);
  busy = false;
  await load();
}

const figure = (value) => (value === null || value === undefined ? "–" : Number(value.toPrecision(3)).toString().replace("-", "−"));
const change = (value) => (value > 0 ? "+" : "") + figure(value);
const interleaved = () => report.experiment.kind === "interleaved";
const least = (metric) => (metric.at_least === null || metric.at_least === undefined ? "" : ` ≥ ${metric.at_least}`);
const metricName = (metric) => t(interleaved() ? "experiment.credit" : `experiment.of.${metric.of ?? "events"}`, { type: metric.type }) + least(metric);
/** How the report names a metric: the means stand in the order of the metrics. */
const keyOf = (place) => Object.keys(report.arms[0].means)[place];

function grid(label, heads, rows) {
  const head = heads.map((text) => h("th", { scope: "col" }, text));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", { class: "grid" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

function arms() {
  const { metrics } = report.experiment;
  const heads = [t("experiment.arm"), t("experiment.people"), t("experiment.counted"), t("experiment.rankings"), ...metrics.map(metricName)];
  const rows = report.arms.map((arm) =>
    h("tr", {}, h("th", { scope: "row" }, arm.arm), [arm.people, arm.counted, arm.rankings].map((count) => h("td", { class: "figure" }, number(count))), metrics.map((_, place) => h("td", { class: "figure" }, figure(arm.means[keyOf(place)])))),
  );
  return grid(t("experiment.arms"), heads, rows);
}

/** An interval on a track that holds 0 and every interval of its metric. */
function interval(one, reach) {
  if (one.value === null || one.value === undefined) return h("td", { class: "soft" }, "–");
  const at = (value) => `${50 + (50 * value) / reach}%`;
  const span = `${(50 * (one.high - one.low)) / reach}%`;
  const text = `${change(one.value)} [${change(one.low)}, ${change(one.high)}]`;
  return h("td", {}, h("div", { class: `interval ${one.verdict}`, role: "img", "aria-label": text, vars: { from: at(one.low), span, at: at(one.value) } }, h("i"), h("b")), h("small", {}, text));
}

function differences() {
  const rows = report.experiment.metrics.flatMap((metric, place) => {
    const mine = report.comparisons.filter((one) => one.metric === keyOf(place));
    const reach = Math.max(...mine.flatMap((one) => [Math.abs(one.low ?? 0), Math.abs(one.high ?? 0)])) * 1.08 || 1;
    return mine.map((one) =>
      h(
        "tr",
        { class: place === 0 ? "active" : null },
        h("th", { scope: "row" }, metricName(metric)),
        h("td", {}, one.arm),
        interval(one, reach),
        h("td", { class: "figure" }, one.relative === null || one.relative === undefined ? "–" : `${change(100 * one.relative)} %`),
        h("td", {}, h("span", { class: `chip ${one.verdict === "better" ? "on" : ""}` }, t(`experiment.verdict.${one.verdict}`))),
      ),
    );
  });
  const heads = ["metric", "arm", "difference", "relative", "verdict"].map((key) => t(`experiment.${key}`));
  return grid(t("experiment.differences", { control: report.arms[0].arm }), heads, rows);
}

/** The arms that a guardrail holds, breaks, or can't yet be said to. */
function guardrails() {
  const per = report.guardrails.length / report.experiment.guardrails.length;
  const rows = report.guardrails.map((one, place) => {
    const rail = report.experiment.guardrails[Math.floor(place / per)];
    const relative = one.value === null || one.value === undefined ? "–" : `${change(100 * one.value)} %`;
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, metricName(rail)),
      h("td", {}, one.arm),
      h("td", { class: "figure" }, relative),
      h("td", { class: "figure" }, `${figure(100 * (rail.worst ?? 0))} %`),
      h("td", {}, h("span", { class: `chip ${one.verdict === "held" ? "on" : ""}`, "data-verdict": one.verdict }, t(`experiment.guardrail.${one.verdict}`))),
    );
  });
  return grid(t("experiment.guardrails"), ["metric", "arm", "relative", "borne", "verdict"].map((key) => t(`experiment.${key}`)), rows);
}

function told() {
  const { experiment, preferences } = report;
  return [
    experiment.stopped_by && h("p", { class: "notice problem" }, icon("alert"), h("span", {}, t("experiment.stopped_by", { what: experiment.stopped_by }))),
    report.arms.filter((arm) => arm.unusable > 0).map((arm) => h("p", { class: "notice info" }, t("experiment.unusable", { arm: arm.arm, count: number(arm.unusable) }))),
    interleaved() && h("p", { class: "soft" }, t("experiment.interleaved")),
    preferences.map((one) => h("p", { class: "preference" }, t("experiment.preference", { arm: report.arms[1].arm, wins: number(one.wins), losses: number(one.losses), ties: number(one.ties) }))),
  ];
}

function judged() {
  const { experiment, notes, trustworthy } = report;
  const dates = experiment.stopped ? t("experiment.ended", { from: moment(experiment.started), to: moment(experiment.stopped) }) : t("experiment.running", { from: moment(experiment.started) });
  return h(
    "section",
    { class: "panel" },
    h("div", { class: "head" }, h("h2", {}, experiment.name), h("div", { class: "actions" }, !experiment.stopped && h("button", { type: "button", disabled: busy, on: { click: stop } }, t("experiment.stop")))),
    h("p", { class: "meta" }, dates),
    !trustworthy && h("p", { class: "notice problem" }, icon("alert"), h("span", {}, t("experiment.broken", { p: report.sample_ratio_p.toPrecision(2) }))),
    told(),
    h("h3", {}, t("experiment.arms")),
    arms(),
    h("h3", {}, t("experiment.differences", { control: report.arms[0].arm })),
    differences(),
    report.guardrails.length > 0 && [h("h3", {}, t("experiment.guardrails")), guardrails()],
    h("p", { class: "soft small" }, t("experiment.hint")),
    notes.length > 0 && h("ul", { class: "sentences" }, notes.map(said)),
  );
}

function list() {
  const chips = all.map((one) =>
    h("button", { type: "button", class: "chip", "aria-pressed": String(one.name === chosen), on: { click: () => choose(one.name) } }, one.stopped ? one.name : `${one.name} ●`),
  );
  const empty = [h("p", {}, t("experiment.empty")), h("pre", {}, h("code", {}, `palate experiment start mixed --arm control --arm mixed,diversity=0.3 --dir ${document.body.dataset.folder}`))];
  return h("section", { class: "panel" }, h("h1", {}, t("experiment.title")), h("p", { class: "lead" }, t("experiment.lead")), all.length > 0 ? h("p", { class: "chips" }, chips) : empty);
}

export const experiments = {
  start(given) {
    alerts = given;
  },

  open: load,

  render() {
    if (all === null) return;
    fill($("experiments"), list(), report && judged());
  },
};
