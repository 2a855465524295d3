// The person: known facts, taste now and over time, interests, history.

import { $, fill, h } from "./dom.js";
import { moment, percent, plural, t, typeName, when } from "./i18n.js";
import { tagText, title } from "./items.js";
import { avatar } from "./people.js";
import { rights } from "./rights.js";

const SHORT = 12;
let everything = false;

function chip(entry, largest, onTag) {
  const weight = percent(entry.weight);
  return h(
    "button",
    {
      type: "button",
      class: entry.weight < 0 ? "chip weighted against" : "chip weighted",
      vars: { share: `${Math.round((100 * Math.abs(entry.weight)) / largest)}%` },
      title: entry.tag,
      "aria-label": t("profile.chip", { tag: entry.tag, weight }),
      on: { click: () => onTag(entry.tag) },
    },
    h("span", {}, tagText(entry.tag)),
    h("span", { class: "weight" }, weight),
  );
}

function taste(label, entries, onTag) {
  const largest = Math.max(...entries.map((entry) => Math.abs(entry.weight)), 1e-9);
  const body = entries.length > 0
    ? h("div", { class: "chips" }, entries.slice(0, SHORT).map((entry) => chip(entry, largest, onTag)))
    : h("p", { class: "soft" }, t("profile.no_taste"));
  return h("section", {}, h("h3", {}, label), body);
}

function lasting(entries, onTag) {
  const arrows = { rising: "↑", falling: "↓", steady: "" };
  const chips = entries.map((entry) =>
    h(
      "button",
      {
        type: "button",
        class: "chip weighted",
        vars: { share: `${Math.round((100 * entry.weight) / Math.max(entries[0].weight, 1e-9))}%` },
        title: t("profile.lasts", { tag: entry.tag, weight: percent(entry.weight), days: entry.half_life, count: entry.evidence, since: moment(entry.since) }),
        on: { click: () => onTag(entry.tag) },
      },
      h("span", {}, tagText(entry.tag)),
      entry.trend !== "steady" && h("span", { class: "weight", title: entry.trend === "rising" ? t("profile.rising") : t("profile.falling") }, arrows[entry.trend]),
      h("span", { class: "weight" }, t("profile.days", { days: Math.round(entry.half_life) })),
    ),
  );
  return entries.length > 0 && h("section", {}, h("h3", {}, t("profile.tags")), h("div", { class: "chips" }, chips));
}

function summary(found) {
  if (!found) return null;
  const by = found.ai_generated ? t("profile.ai", { model: found.model }) : t("profile.template");
  return h("section", { class: "summary" }, h("p", { class: "worded", lang: found.language === "zh" ? "zh-CN" : "en" }, found.text), h("p", { class: "soft small" }, by));
}

function wishes(said) {
  const entries = said.filter((entry) => entry.said);
  return entries.length > 0 && h("section", {}, h("h3", {}, t("profile.wishes")), h("div", { class: "chips" }, entries.map((entry) => h("span", { class: "chip" }, entry.said))));
}

function guesses(entries) {
  return entries.length > 0 && h(
    "section",
    {},
    h("h3", {}, t("profile.predicted")),
    h("dl", { class: "facts" }, entries.map((entry) => h("div", {}, h("dt", {}, entry.field), h("dd", {}, t("profile.guess", { value: entry.value, probability: percent(entry.probability) }))))),
  );
}

function history(entries, again) {
  if (entries.length === 0) return h("p", { class: "soft" }, t("profile.no_history"));
  const shown = everything ? entries : entries.slice(0, SHORT);
  const rows = shown.map((entry) =>
    h(
      "li",
      {},
      h("span", { class: "what" }, entry.title || title(entry.item)),
      h("span", { class: `type type-${entry.type.replace(/[^a-z_]/g, "")}` }, typeName(entry.type), entry.value === null || entry.type !== "rating" ? null : ` ${entry.value}`),
      h("time", { datetime: new Date(entry.timestamp).toISOString(), title: moment(entry.timestamp) }, when(entry.timestamp)),
    ),
  );
  const more = entries.length > SHORT && h(
    "button",
    { type: "button", class: "quiet", on: { click: () => ((everything = !everything), again()) } },
    everything ? t("profile.less") : t("profile.more", { count: entries.length }),
  );
  return [h("ol", { class: "history", id: "history" }, rows), more];
}

/** Draws `profile` (null while unknown) of `subject`. onTag(tag): a tag was clicked; changed: as `rights` takes it. */
export function renderProfile(subject, profile, onTag, changed) {
  const name = subject.user ?? t("people.anonymous");
  const events = profile?.known ? plural("people.events", profile.interactions) : t("profile.unknown");
  const facts = Object.entries(profile?.fields ?? {});
  const newest = [...(profile?.history ?? [])].sort((a, b) => b.timestamp - a.timestamp);
  const again = () => renderProfile(subject, profile, onTag, changed);
  fill(
    $("profile"),
    h("div", { class: "who" }, avatar(subject, "large"), h("div", {}, h("h2", {}, name), h("p", { class: "soft" }, events))),
    subject.user !== undefined && summary(profile?.summary),
    facts.length > 0 && h("dl", { class: "facts", "aria-label": t("profile.fields") }, facts.map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, Array.isArray(value) ? value.join(", ") : String(value))))),
    subject.user === undefined
      ? h("p", { class: "soft small" }, t("profile.session"))
      : [taste(t("profile.now"), profile?.short_term ?? [], onTag), taste(t("profile.long"), profile?.long_term ?? [], onTag)],
    wishes(profile?.wishes ?? []),
    subject.user !== undefined && profile && rights(subject, profile, changed),
    lasting(profile?.tags ?? [], onTag),
    guesses(profile?.predicted ?? []),
    (profile?.interests?.length ?? 0) > 0 && h(
      "section",
      {},
      h("h3", {}, t("profile.interests")),
      h("ul", { class: "interests" }, profile.interests.map((group) => h("li", {}, group.slice(0, 3).join(" · ")))),
    ),
    h("section", {}, h("h3", {}, t("profile.history")), history(newest, again)),
  );
}
