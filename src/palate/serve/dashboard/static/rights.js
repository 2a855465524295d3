// What a person may do with their profile: mute, pin, take it along, opt out, be erased.

import { api } from "./api.js";
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { tagText } from "./items.js";

function chips(label, key, entries, take) {
  return entries.length > 0 && h(
    "div",
    { class: "chips", "aria-label": label },
    h("span", { class: "soft small" }, label),
    entries.map((entry) => h("button", { type: "button", class: "chip", title: entry, "aria-label": t(key, { tag: entry }), on: { click: () => take(entry) } }, `${tagText(entry)} ×`)),
  );
}

function button(name, text, press, disabled = false) {
  return h("button", { type: "button", class: "quiet", "data-right": name, disabled, on: { click: press } }, text);
}

/** The section of `profile`; `changed(work)` does the work, then asks for everything again. */
export function rights({ user }, profile, changed) {
  const correct = (change) => changed(() => api.correct(user, change));
  const text = h("input", { type: "text", id: "correction", autocomplete: "off", placeholder: t("rights.words"), "aria-label": t("rights.words") });
  const say = (key) => text.value.trim() && correct({ [key]: [text.value.trim()] });
  return h(
    "section",
    { id: "rights" },
    h("h3", {}, t("rights.title")),
    profile.profiling && [
      chips(t("rights.muted"), "rights.unmute", profile.muted, (tag) => correct({ unmute: [tag] })),
      chips(t("rights.pinned"), "rights.unpin", profile.pinned, (tag) => correct({ unpin: [tag] })),
      h("p", {}, text, button("mute", t("rights.mute"), () => say("mute")), button("pin", t("rights.pin"), () => say("pin"))),
    ],
    !profile.profiling && h("p", { class: "soft small" }, t("rights.off")),
    h(
      "p",
      {},
      h("a", { href: `/v1/users/${encodeURIComponent(user)}/export`, download: "palate-export.json" }, t("rights.export")),
      " ",
      button("profiling", profile.profiling ? t("rights.opt_out") : t("rights.opt_in"), () => correct({ profiling: !profile.profiling })),
      button("forget", t("rights.forget"), () => confirm(t("rights.sure", { user })) && changed(() => api.forget(user))),
    ),
  );
}
