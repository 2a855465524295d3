// Choosing a person: the most active users, a search by prefix, or an anonymous visitor.

import { api } from "./api.js";
import { $, debounce, fill, h, icon, tab } from "./dom.js";
import { plural, t } from "./i18n.js";

let users = [];
let prefix = "";
let chosen = null;
let hooks = null;
let asked = 0;
/** The anonymous visitor of this tab: the same one after a reload. */
const visitor = tab.get("visitor") ?? `visitor-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
tab.set("visitor", visitor);

const same = (a, b) => a !== null && a.user === b.user && a.session === b.session;

/** A stable hue for an id, so that a person is recognised at a glance. */
export function hue(id) {
  let sum = 7;
  for (const char of id) sum = (sum * 31 + char.codePointAt(0)) % 360;
  return sum;
}

export function avatar(subject, size = "") {
  if (subject.user === undefined) return h("span", { class: `avatar ${size} anonymous`, "aria-hidden": "true" }, icon("person"));
  const letters = [...subject.user].slice(-2).join("").toUpperCase();
  return h("span", { class: `avatar ${size}`, vars: { hue: hue(subject.user) }, "aria-hidden": "true" }, letters);
}

function row(subject, name, note) {
  const current = chosen !== null && same(chosen, subject);
  const button = h(
    "button",
    { type: "button", "aria-pressed": String(current), tabindex: current ? 0 : -1, on: { click: () => people.choose(subject) } },
    avatar(subject),
    h("span", { class: "name" }, name),
    h("span", { class: "count" }, note),
  );
  return h("li", {}, button);
}

/** One tab stop for the whole list; the arrow keys move inside it. */
function keys(event) {
  const buttons = [...$("people").querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (to < 0) $("people-search").focus();
  else buttons[Math.min(to, buttons.length - 1)]?.focus();
}

async function search() {
  const mine = ++asked;
  try {
    const found = await api.users(prefix);
    if (mine !== asked) return;
    users = found.users;
    people.render();
  } catch (error) {
    hooks.alerts.show(error, search);
  }
}

export const people = {
  async start(given) {
    hooks = given;
    $("people").addEventListener("keydown", keys);
    $("people-search").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") {
        event.preventDefault();
        $("people").querySelector("button")?.focus();
      }
      if (event.key === "Enter" && users.length > 0) people.choose({ user: users[0].user });
    });
    const later = debounce(search, 120);
    $("people-search").addEventListener("input", (event) => {
      prefix = event.target.value.trim();
      later();
    });
    await search();
    const address = new URLSearchParams(location.search);
    const wanted = address.get("user") || (address.has("visitor") ? "" : users[0]?.user);
    people.choose(wanted ? { user: wanted } : { session: visitor });
  },

  choose(subject) {
    chosen = subject;
    const url = new URL(location.href);
    url.searchParams.delete(subject.user === undefined ? "user" : "visitor");
    url.searchParams.set(subject.user === undefined ? "visitor" : "user", subject.user ?? "");
    history.replaceState(null, "", url);
    people.render();
    hooks.choose(subject);
  },

  render() {
    const focused = $("people").contains(document.activeElement) ? [...$("people").querySelectorAll("button")].indexOf(document.activeElement) : -1;
    // Whoever is shown is in the list, also when a hundred others are more active.
    const apart = chosen?.user !== undefined && !prefix && !users.some((entry) => entry.user === chosen.user);
    const shown = apart ? row(chosen, chosen.user, "") : null;
    const rows = users.map((entry) => row({ user: entry.user }, entry.user, plural("people.events", entry.interactions)));
    const anonymous = prefix ? null : row({ session: visitor }, t("people.anonymous"), t("people.anonymous_note"));
    const empty = users.length > 0 ? null : prefix ? h("p", { class: "soft" }, t("people.none", { prefix })) : [
      h("p", { class: "soft" }, t("people.empty")), h("pre", {}, h("code", {}, "palate demo")),
    ];
    fill($("people"), anonymous, shown, rows, empty && h("li", { class: "empty" }, empty));
    const buttons = [...$("people").querySelectorAll("button")];
    if (!buttons.some((button) => button.tabIndex === 0) && buttons.length > 0) buttons[0].tabIndex = 0;
    if (focused >= 0) buttons[Math.min(focused, buttons.length - 1)]?.focus();
  },
};
