// Contribution bars: what each feature adds to a score, to the right of zero or to the left.

import { h } from "./dom.js";
import { featureName, listed, percent, plural, score, signed, t, typeName } from "./i18n.js";
import { title } from "./items.js";

const SHOWN = 8;
const SOURCES = 3;

/** The largest contribution in sight, so that the bars of different items can be compared. */
export function scaleOf(items) {
  const sizes = items.flatMap((item) => (item.contributions ?? []).map((entry) => Math.abs(entry.contribution)));
  return Math.max(...sizes, 1e-9);
}

const sum = (entries) => entries.reduce((total, entry) => total + entry.contribution, 0);

function bar(value, scale) {
  const share = `${Math.min(100, (100 * Math.abs(value)) / scale)}%`;
  return h("span", { class: value < 0 ? "bar against" : "bar", vars: { share }, "aria-hidden": "true" }, h("i", {}));
}

function row(label, note, value, scale) {
  return h("tr", {}, h("th", { scope: "row" }, label, note && h("small", {}, note)), h("td", { class: "track" }, bar(value, scale)), h("td", { class: "figure" }, signed(value)));
}

function sourcesOf(entry) {
  const texts = (entry.sources ?? []).slice(0, SOURCES).map((source) =>
    t("bars.source", { title: title(source.item), type: typeName(source.type), share: percent(source.share) }),
  );
  if (texts.length > 0) return t("bars.from", { sources: listed(texts) });
  return entry.value === null || entry.value === undefined ? null : t("bars.value", { value: score(entry.value) });
}

/** The whole table for one item: starting point, features by size, the rest, and the score they add up to. */
export function breakdown(item, scale) {
  const all = [...(item.contributions ?? [])].sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
  if (all.length === 0 || item.score === null || item.score === undefined) return h("p", { class: "soft" }, t("bars.none"));
  const moving = all.filter((entry) => entry.contribution !== 0);
  const top = moving.slice(0, SHOWN);
  const rest = moving.slice(SHOWN);
  const base = item.score - sum(all);
  return h(
    "div",
    { class: "breakdown" },
    h(
      "table",
      {},
      h("tbody", {}, top.map((entry) => row(featureName(entry.feature), sourcesOf(entry), entry.contribution, scale)),
        rest.length > 0 && row(plural("bars.rest", rest.length), null, sum(rest), scale)),
      h("tfoot", {},
        h("tr", {}, h("th", { scope: "row" }, t("bars.base")), h("td", {}), h("td", { class: "figure" }, score(base))),
        h("tr", { class: "total" }, h("th", { scope: "row" }, t("bars.total")), h("td", {}), h("td", { class: "figure" }, score(item.score)))),
    ),
    h("p", { class: "soft small" }, t("bars.note")),
  );
}

/** One line: everything for it to the right, everything against it to the left, one segment a feature. */
export function miniature(item, sides) {
  const all = [...(item.contributions ?? [])].filter((entry) => entry.contribution !== 0);
  all.sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
  const up = all.filter((entry) => entry.contribution > 0);
  const down = all.filter((entry) => entry.contribution < 0);
  const segment = (side) => (entry, index) => h("i", { vars: { share: `${(100 * Math.abs(entry.contribution)) / side}%`, fade: `${Math.max(0.28, 1 - index * 0.22)}` }, title: `${featureName(entry.feature)} ${signed(entry.contribution)}` });
  const label = t("card.summary", { up: score(sum(up)), down: score(Math.abs(sum(down))) });
  return h(
    "div",
    { class: "mini", role: "img", "aria-label": label, vars: { left: `${sides.against}fr`, right: `${sides.for}fr` } },
    h("div", { class: "against" }, down.map(segment(sides.against))),
    h("div", { class: "for" }, up.map(segment(sides.for))),
  );
}

/** How far the miniatures reach to either side of zero: one scale for all items in sight. */
export function sidesOf(items) {
  const reach = (sign) => Math.max(...items.map((item) => sum((item.contributions ?? []).filter((entry) => entry.contribution * sign > 0)) * sign), 0);
  const [up, down] = [reach(1), reach(-1)];
  const least = (up + down || 1) * 0.08;
  return { for: Math.max(up, least), against: Math.max(down, least) };
}
