// One ranked item.

import { breakdown, miniature } from "./bars.js";
import { h, icon } from "./dom.js";
import { has, listed, score, t } from "./i18n.js";
import { tags, tagText, title } from "./items.js";
import { more } from "./why.js";

/** A reason in the reader's language; a code that is not known here shows the service's English text. */
export function reasonText(reason) {
  const items = reason.items ?? [];
  const labels = reason.tags ?? [];
  const named = (reason.code === "taste" && items.length > 0 && "_items") || (reason.code === "new" && labels.length > 0 && "_tags") || "";
  const key = `reason.${reason.code}${named}`;
  const lacks = (reason.code === "because_of" && items.length === 0) || (reason.code === "tag" && labels.length === 0);
  if (!has(key) || lacks) return reason.text;
  return t(key, { items: listed(items.map((id) => `“${title(id)}”`)), tags: listed(labels.map(tagText)) });
}

function badge(move) {
  if (!move) return null;
  if (move.kind === "new") return h("span", { class: "move new" }, t("move.new"));
  if (move.kind === "same") return h("span", { class: "move same", title: t("move.same") }, "–");
  const up = move.kind === "up";
  return h(
    "span",
    { class: `move ${move.kind}`, title: t(`move.${move.kind}`, { count: move.by }) },
    h("span", { "aria-hidden": "true" }, `${up ? "▲" : "▼"}${move.by}`),
    h("span", { class: "sr" }, t(`move.${move.kind}`, { count: move.by })),
  );
}

/**
 * `item` is a RankedItem. `context`: `move` (or null), `scale` and `sides` of the bars, `open` (the breakdown shows),
 * `fresh` (the item just acted on), `ranking` (its id), and `act(kind, item)` for "like", "hide", "why" and "tag".
 */
export function card(item, context) {
  const name = title(item.id);
  const reasons = item.reasons ?? [];
  const explored = reasons.some((reason) => reason.code === "exploration");
  const unscored = item.score === null || item.score === undefined;
  const panel = `why-${item.position}`;
  const action = (kind, extra) =>
    h(
      "button",
      { type: "button", class: `action ${kind}`, data: { action: kind }, "aria-label": t(`card.${kind}_item`, { title: name }), on: { click: () => context.act(kind, item) }, ...extra },
      icon(kind === "why" ? "chevron" : kind),
      h("span", {}, t(`card.${kind}`)),
    );
  return h(
    "li",
    { class: context.open ? "card open" : "card", tabindex: -1, "aria-label": `${item.position}. ${name}`, data: { id: item.id } },
    h("div", { class: "place" }, h("span", { class: "position" }, item.position), badge(context.move)),
    h(
      "div",
      { class: "body" },
      h("h3", { title: item.id }, name),
      h(
        "p",
        { class: "tags" },
        tags(item.id).map((tag) => h("button", { type: "button", class: "chip plain", title: tag.tag, on: { click: () => context.act("tag", tag.tag) } }, tagText(tag.tag))),
        item.cold && h("span", { class: "chip state" }, icon("cold"), t("card.cold")),
        explored && h("span", { class: "chip state" }, t("card.explored")),
      ),
      reasons.length > 0 && h("ul", { class: "reasons" }, reasons.map((reason) => h("li", { class: context.fresh && (reason.items ?? []).includes(context.fresh) ? "fresh" : null }, reasonText(reason)))),
    ),
    h(
      "div",
      { class: "worth" },
      h("p", { class: "score" }, h("span", {}, unscored ? t("card.no_score") : t("card.score")), h("b", {}, score(item.score))),
      miniature(item, context.sides),
    ),
    h("div", { class: "actions" }, action("like"), action("hide"), action("why", { "aria-expanded": String(context.open), "aria-controls": panel })),
    h("div", { class: "why-panel", id: panel, hidden: !context.open }, context.open && [breakdown(item, context.scale), context.ranking && more(context.ranking, item.id)]),
  );
}
