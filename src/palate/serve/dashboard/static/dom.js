// Building elements. Data only ever enters the page as text nodes or attributes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element. `props`: `class`, `on` (listeners), `vars` (CSS custom properties), `data`; anything else is an
 * attribute (true: present, false/null: absent). Children: nodes, strings, numbers, arrays; null is skipped.
 */
export function h(tag, props = {}, ...children) {
  const node = tag === "svg" || tag === "use" ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.setAttribute("class", value);
    else if (name === "on") for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    else if (name === "vars") for (const [key, text] of Object.entries(value)) node.style.setProperty(`--${key}`, text);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child instanceof Node ? child : String(child));
  }
}

/** Replaces everything inside `node`. */
export function fill(node, ...children) {
  node.replaceChildren();
  append(node, children);
  return node;
}

/** An icon of icons.svg; decorative, so hidden from assistive technology. */
export function icon(name) {
  return h("svg", { class: "icon", "aria-hidden": "true" }, h("use", { href: `/static/icons.svg#${name}` }));
}

export const $ = (id) => document.getElementById(id);

/** `call` after `ms` of quiet. */
export function debounce(call, ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), ms);
  };
}

/** What is kept in a store of the browser; one that blocks it simply forgets. */
const keeper = (store) => ({
  get(key) {
    try {
      return store().getItem(`palate.${key}`);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      store().setItem(`palate.${key}`, value);
    } catch {
      // Private windows and locked-down browsers: it lasts as long as the page.
    }
  },
});

/** Preferences, kept for good. */
export const memory = keeper(() => localStorage);

/** What belongs to this tab and ends with it. */
export const tab = keeper(() => sessionStorage);
