// Plotly, loaded once and on first need, and how plots look here.

import { h } from "./dom.js";

let plotly = null;

/** Resolves to null where it isn't installed. */
export function loadPlotly() {
  if (document.body.dataset.plotly !== "yes") return Promise.resolve(null);
  plotly ??= new Promise((resolve) => {
    const script = h("script", { src: "/static/plotly.min.js", on: { load: () => resolve(window.Plotly ?? null), error: () => resolve(null) } });
    document.head.append(script);
  });
  return plotly;
}

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A layout with the page's own font and colours; `more` on top of it. */
export const layout = (more) => ({
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: getComputedStyle(document.body).fontFamily, size: 14, color: css("ink") },
  ...more,
});
