// The dashboard: the views, the header, and what they share.

import { api } from "./api.js";
import { $, fill, h, icon } from "./dom.js";
import { evaluation } from "./evaluation.js";
import { experiments } from "./experiments.js";
import { milliseconds, number, onLanguage, startLanguage, t } from "./i18n.js";
import { models } from "./models.js";
import { people } from "./people.js";
import { ranking } from "./ranking.js";
import { live } from "./live.js";

const VIEWS = { rank: ranking, models, experiments, evaluation };
const REFRESH_MS = 5000;

/** Shows a failure as a sentence, until it is dismissed or `clear()` is called. */
export const alerts = {
  show(error, retry) {
    const again = retry && h("button", { type: "button", class: "quiet", on: { click: () => (alerts.clear(), retry()) } }, t("error.retry"));
    const close = h("button", { type: "button", class: "quiet round", "aria-label": t("error.dismiss"), on: { click: () => alerts.clear() } }, icon("close"));
    fill($("alerts"), h("div", { class: "notice problem" }, icon("alert"), h("p", {}, error.message), again, close));
  },
  clear: () => fill($("alerts")),
};

function show() {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "rank";
  for (const view of Object.keys(VIEWS)) $(`view-${view}`).hidden = view !== name;
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  VIEWS[name].open?.();
}

function strip() {
  const { status, failed } = live;
  const pulse = $("pulse");
  pulse.classList.toggle("lost", failed);
  pulse.setAttribute("aria-label", t(failed ? "pulse.lost" : "pulse.live"));
  pulse.title = t(failed ? "pulse.lost" : "pulse.live");
  if (!status) return;
  const { counts } = status;
  const speed = live.latency();
  const figures = [
    ["users", number(counts.users)],
    ["items", number(counts.items)],
    ["events", number(counts.events)],
    ["rankings", number(counts.rankings)],
    ["p50", speed ? `${milliseconds(speed.p50)} ms` : "–"],
    ["p99", speed ? `${milliseconds(speed.p99)} ms` : "–"],
    ["model", live.model()],
    ["position", number(counts.seq)],
  ];
  fill($("strip"), figures.map(([key, value]) => h("div", {}, h("dt", {}, t(`strip.${key}`)), h("dd", {}, value))));
}

async function poll() {
  if (!document.hidden) await live.refresh();
  setTimeout(poll, REFRESH_MS);
}

async function start() {
  startLanguage();
  live.onChange(strip);
  onLanguage(() => {
    strip();
    for (const view of Object.values(VIEWS)) view.render();
    people.render();
  });
  window.addEventListener("hashchange", show);
  if (document.body.dataset.keys === "yes") {
    $("sign-out").hidden = false;
    $("sign-out").addEventListener("click", () => api.logout().then(() => location.assign("/login"), alerts.show));
  }
  ranking.start(alerts);
  models.start(alerts);
  evaluation.start(alerts);
  experiments.start(alerts);
  show();
  poll();
  await people.start({ alerts, choose: (subject) => ranking.choose(subject) });
}

start();
