// How a list was made: every stage of the line, its time, and what it kept or removed.

import { h } from "./dom.js";
import { milliseconds, number, t, word } from "./i18n.js";

export function stagesTable(ranking) {
  const longest = Math.max(...ranking.stages.map((stage) => stage.ms), 1e-6);
  const rows = ranking.stages.map((stage) =>
    h(
      "tr",
      { class: stage.status === "failed" ? "failed" : null },
      h("th", { scope: "row" }, word("stage", stage.name)),
      h("td", { class: "track" }, h("span", { class: "bar plain", vars: { share: `${(100 * stage.ms) / longest}%` }, "aria-hidden": "true" }, h("i", {}))),
      h("td", { class: "figure" }, `${milliseconds(stage.ms)} ms`),
      h("td", { class: "status" }, t(`stages.${stage.status}`), stage.reason ? `${t("stages.colon")}${word("because", stage.reason)}` : null),
      h("td", { class: "soft amounts" }, Object.entries(stage.counts ?? {}).map(([name, count]) => `${word("amount", name)} ${number(count)}`).join(" · ")),
    ),
  );
  const head = [["stage"], ["", "track"], ["time"], ["status"], ["counts"]].map(([key]) => h("th", { scope: "col" }, key ? t(`stages.${key}`) : h("span", { class: "sr" }, t("stages.time"))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("stages.title") }, h("table", { class: "grid steps" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}
