// How a list was made: every stage of the line, its time, and what it kept or removed.

import { h } from "./dom.js";
import { milliseconds, number, t } from "./i18n.js";

export function stagesTable(ranking) {
  const longest = Math.max(...ranking.stages.map((stage) => stage.ms), 1e-6);
  const rows = ranking.stages.map((stage) =>
    h(
      "tr",
      { class: stage.status === "failed" ? "failed" : null },
      h("th", { scope: "row" }, stage.name),
      h("td", { class: "track" }, h("span", { class: "bar plain", vars: { share: `${(100 * stage.ms) / longest}%` }, "aria-hidden": "true" }, h("i", {}))),
      h("td", { class: "figure" }, `${milliseconds(stage.ms)} ms`),
      h("td", {}, t(`stages.${stage.status}`), stage.reason ? `: ${stage.reason}` : null),
      h("td", { class: "soft" }, Object.entries(stage.counts ?? {}).map(([name, count]) => `${name.replaceAll("_", " ")} ${number(count)}`).join(" · ")),
    ),
  );
  const head = [["stage"], ["", "track"], ["time"], ["status"], ["counts"]].map(([key]) => h("th", { scope: "col" }, key ? t(`stages.${key}`) : h("span", { class: "sr" }, t("stages.time"))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("stages.title") }, h("table", { class: "grid" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}
