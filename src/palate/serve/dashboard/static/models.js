// Model versions, with activate and roll back; latency and counts of the service.

import { api } from "./api.js";
import { $, fill, h } from "./dom.js";
import { importancePanel } from "./importance.js";
import { live } from "./live.js";
import { worthPanel } from "./worth.js";
import { milliseconds, moment, number, percent, t, word } from "./i18n.js";

let versions = null;
let online = null;
let done = "";
let busy = false;
let alerts = null;

async function load() {
  try {
    ({ models: versions, online } = await api.models());
    models.render();
  } catch (error) {
    alerts.show(error, load);
  }
}

async function change(call, key) {
  if (busy) return;
  busy = true;
  alerts.clear();
  try {
    const model = await call();
    done = t(key, { version: model.version });
    await Promise.all([load(), live.refresh()]);
  } catch (error) {
    alerts.show(error);
  } finally {
    busy = false;
    models.render();
  }
}

const metric = (name, value, minor = false) => h("span", { class: minor ? "metric minor" : "metric" }, `${name} `, h("b", {}, value.toFixed(4)));

/** The model's own metrics first; below them those of the contenders that it was chosen among ("ndcg@10.trees"). */
function metrics(model) {
  const all = Object.entries(model.metrics);
  const own = all.filter(([name]) => !name.includes("."));
  const contenders = all.filter(([name]) => name.includes("."));
  return [
    h("div", {}, own.map(([name, value]) => metric(name, value))),
    contenders.length > 0 && h("div", { class: "contenders" }, contenders.map(([name, value]) => metric(name.slice(name.indexOf(".") + 1), value, true))),
  ];
}

/** How it stands against the model that served before it, on choices that neither learnt from. */
function former(model) {
  const { against } = model;
  if (!against?.margin) return null;
  const sign = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(4);
  const { value, low, high } = against.margin;
  const worse = against.verdict === "worse";
  return h("div", { class: worse ? "chip warn" : "soft" }, `${t(worse ? "models.refused" : "models.former", { former: against.former })} ${sign(value)} [${sign(low)}, ${sign(high)}]`);
}

function row(model) {
  return h(
    "tr",
    { class: model.active ? "active" : null },
    h("th", { scope: "row" }, model.version),
    h("td", {}, word("kind", model.kind)),
    h("td", {}, h("time", { datetime: new Date(model.created).toISOString() }, moment(model.created))),
    h("td", { class: "figure" }, number(model.events)),
    h("td", { class: "encoder" }, model.encoder),
    h("td", { class: "measures" }, metrics(model), former(model)),
    h("td", { class: "end" }, model.active
      ? h("span", { class: "chip on" }, t("models.active"))
      : h("button", { type: "button", "aria-label": t("models.activate_version", { version: model.version }), on: { click: () => change(() => api.activate(model.version), "models.activated") } }, t("models.activate"))),
  );
}

function table(label, heads, rows, kind = "") {
  const head = heads.map((text) => h("th", { scope: "col" }, text));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, h("table", { class: `grid ${kind}` }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}

function versionsPanel() {
  const rollback = versions?.length > 1 && h("button", { type: "button", on: { click: () => change(api.rollback, "models.rolled_back") } }, t("models.rollback"));
  const train = h("button", { type: "button", disabled: live.status?.training === "running", on: { click: () => change(api.train, "models.train_started") } }, t("models.train"));
  const heads = ["version", "kind", "created", "events", "encoder", "metrics"].map((key) => t(`models.${key}`));
  const body = versions === null ? null : versions.length === 0
    ? [h("p", {}, t("models.empty")), h("pre", {}, h("code", {}, `palate train --dir ${document.body.dataset.folder}`))]
    : table(t("models.title"), [...heads, h("span", { class: "sr" }, t("models.activate"))], versions.map(row), "versions");
  const training = live.status?.training;
  return h(
    "section",
    { class: "panel" },
    h("div", { class: "head" }, h("h1", {}, t("models.title")), h("div", { class: "actions" }, rollback, train)),
    h("p", { class: "lead" }, t("models.lead")),
    training && training !== "idle" && h("p", { class: "notice info" }, t("models.training", { state: training })),
    h("p", { class: "outcome", role: "status" }, done),
    body,
  );
}

/** What is learnt while the model serves; nothing where nothing is. */
function onlinePanel() {
  if (!online || (online.state === undefined && !online.trial && !online.trained)) return null;
  const { trial, weights } = online;
  const given = { model: online.model, labels: number(online.labels ?? 0) };
  const rows = Object.entries(weights ?? {}).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  return h(
    "section",
    { class: "panel", id: "online" },
    h("h2", {}, t("online.title")),
    h("p", {}, t(`online.${online.state ?? "off"}`, given)),
    online.judged > 0 && h("p", {}, t("online.gain", { loss: (online.loss ?? 0).toFixed(4), corrected: (online.loss_corrected ?? 0).toFixed(4) })),
    (online.drifts > 0 || online.trained > 0) && h("p", {}, t("online.drifts", { drifts: number(online.drifts ?? 0), trained: number(online.trained ?? 0) })),
    trial && h("p", { class: trial.verdict === "worse" ? "notice problem" : null }, t(`online.trial.${trial.verdict}`, { model: trial.model, before: trial.before, rankings: number(trial.rankings) })),
    rows.length > 0 && h("dl", { class: "figures" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, word("feature", name)), h("dd", {}, value.toFixed(3))))),
  );
}

function healthPanel() {
  const { status } = live;
  if (!status) return null;
  const routes = Object.entries(status.latency).filter(([, entry]) => entry.count > 0);
  const ms = (value) => (value === null || value === undefined ? "–" : milliseconds(value));
  const rows = routes.map(([route, entry]) => h("tr", {}, h("th", { scope: "row" }, route), ["p50", "p95", "p99"].map((key) => h("td", { class: "figure" }, ms(entry[key]))), h("td", { class: "figure" }, number(entry.count))));
  const counts = Object.entries(status.counts).map(([key, value]) => h("div", {}, h("dt", {}, t(`count.${key}`)), h("dd", {}, key === "repeat_rate" ? percent(value) : number(value))));
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, t("health.title")),
    h("h3", {}, t("health.latency")),
    rows.length > 0 ? table(t("health.latency"), [t("health.route"), "p50", "p95", "p99", t("health.requests")], rows) : h("p", { class: "soft" }, t("health.no_latency")),
    h("h3", {}, t("health.counts")),
    h("dl", { class: "figures" }, counts),
  );
}

export const models = {
  start(given) {
    alerts = given;
    live.onChange(() => {
      if (!$("view-models").hidden && !$("models").contains(document.activeElement)) models.render();
    });
  },

  open() {
    done = "";
    models.render();
    load();
  },

  render: () => fill($("models"), versionsPanel(), live.status && importancePanel(live.status.model, alerts, models.render), onlinePanel(), worthPanel(alerts, models.render), healthPanel()),
};
