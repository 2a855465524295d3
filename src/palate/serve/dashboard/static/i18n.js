// The language of the page: English or Chinese, remembered, by default the browser's.

import { catalogue } from "./catalogue.js";
import { $, memory } from "./dom.js";

const remembered = memory.get("language");
let current = remembered === "en" || remembered === "zh" ? remembered : navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
const listeners = new Set();

export const language = () => current;
export const onLanguage = (listener) => listeners.add(listener);

const locale = () => (current === "zh" ? "zh-CN" : "en-GB");

/** The string `key`, with {name} replaced. A missing key shows itself, which the tests would catch. */
export function t(key, values = {}) {
  const text = catalogue[key]?.[current] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export const has = (key) => key in catalogue;

/** A sentence of the service in the page's language, where a string whose key begins with `prefix` says it in English. */
export function translated(text, prefix) {
  for (const [key, { en }] of Object.entries(catalogue)) {
    if (!key.startsWith(prefix)) continue;
    const names = [...en.matchAll(/\{(\w+)\}/g)].map((found) => found[1]);
    const fixed = en.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const values = text.match(new RegExp(`^${fixed.join("(.+?)")}$`, "s"));
    if (values) return t(key, Object.fromEntries(names.map((name, at) => [name, values[at + 1]])));
  }
  return text;
}

/** `key.one` or `key.other`, with {count}. */
export function plural(key, count) {
  const form = new Intl.PluralRules(locale()).select(count) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { count: number(count) });
}

export const number = (value) => new Intl.NumberFormat(locale()).format(value);

/** A score or weight: three significant digits, never in scientific notation. */
export function score(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const text = size.toFixed(size >= 100 ? 1 : size >= 10 ? 2 : 3);
  return value < 0 && Number(text) ? `−${text}` : text; // what rounds to 0 has no sign
}

/** The same, with a plus before what is above 0. */
export function signed(value) {
  const text = score(value);
  return value > 0 && Number(text) ? `+${text}` : text;
}

export const milliseconds = (value) => (value >= 100 ? number(Math.round(value)) : value.toFixed(value >= 10 ? 0 : value >= 1 ? 1 : 2));
export const percent = (value) => new Intl.NumberFormat(locale(), { style: "percent", maximumFractionDigits: 0 }).format(value);
export const moment = (ms) => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(ms);

/** How long ago, within a month; otherwise the date. */
export function when(ms) {
  const seconds = (Date.now() - ms) / 1000;
  const relative = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  if (seconds < -60 || seconds > 30 * 86400) return new Intl.DateTimeFormat(locale(), { dateStyle: "medium" }).format(ms);
  if (seconds < 60) return relative.format(0, "second");
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86400) return relative.format(-Math.floor(seconds / 3600), "hour");
  return relative.format(-Math.floor(seconds / 86400), "day");
}

/** "a, b and c". */
export const listed = (texts) => new Intl.ListFormat(locale(), { style: "long", type: "conjunction" }).format(texts);

/** The word for an interaction type; an unknown type is its own word. */
export const typeName = (type) => (has(`type.${type}`) ? t(`type.${type}`) : type.replaceAll("_", " "));

/** The words for a ranking feature; an unknown feature shows its name. */
export const featureName = (name) => (has(`feature.${name}`) ? t(`feature.${name}`) : name.replaceAll("_", " "));

/** The words for something that the service names, such as a stage; what is unknown here shows its name. */
export function word(kind, name) {
  const key = `${kind}.${name.replaceAll(" ", "_").replaceAll(/[^\w]/g, "")}`;
  return has(key) ? t(key) : name.replaceAll("_", " ");
}

/** Translates everything that the template marked. */
function translatePage() {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-i18n]")) node.textContent = t(node.dataset.i18n);
  for (const node of document.querySelectorAll("[data-i18n-label]")) node.setAttribute("aria-label", t(node.dataset.i18nLabel));
  for (const node of document.querySelectorAll("[data-i18n-placeholder]")) node.placeholder = t(node.dataset.i18nPlaceholder);
  const button = $("language");
  button.textContent = current === "zh" ? "English" : "中文";
  button.lang = current === "zh" ? "en" : "zh";
  button.title = t("language.switch");
}

/** Wires the switch in the header and translates the page for the first time. */
export function startLanguage() {
  $("language").addEventListener("click", () => {
    current = current === "zh" ? "en" : "zh";
    memory.set("language", current);
    translatePage();
    for (const listener of listeners) listener();
  });
  translatePage();
}
