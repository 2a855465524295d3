// Plotly, loaded once and on first need, how plots look here, and what stands in their place where it isn't installed.

import { fill, h, icon } from "./dom.js";
import { t } from "./i18n.js";

let plotly = null;

/** Resolves to null where it isn't installed. */
function loadPlotly() {
  if (document.body.dataset.plotly !== "yes") return Promise.resolve(null);
  plotly ??= new Promise((resolve) => {
    const script = h("script", { src: "/static/plotly.min.js", on: { load: () => resolve(window.Plotly ?? null), error: () => resolve(null) } });
    document.head.append(script);
  });
  return plotly;
}

export const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A layout with the page's own font and colours; `more` on top of it. */
const layout = (more) => ({
  paper_bgcolor: "rgba(0,0,0,0)",
  plot_bgcolor: "rgba(0,0,0,0)",
  font: { family: getComputedStyle(document.body).fontFamily, size: 14, color: css("ink") },
  ...more,
});

/** Draws `traces` into `node`, unless it left the page meanwhile; a notice where there is no Plotly. `more`: of the layout. */
export async function draw(node, { traces, more }) {
  const library = await loadPlotly();
  if (!node.isConnected) return;
  if (library === null) {
    fill(node, h("p", { class: "notice info" }, icon("alert"), h("span", {}, t(document.body.dataset.plotly === "yes" ? "error.plotly" : "evaluation.no_plot"))));
    return;
  }
  await library.newPlot(node, traces, layout(more), { displayModeBar: false, responsive: true });
}

/** Of estimates { value, low, high }: how far their intervals reach, as bars of errors along x. */
export function whiskers(estimates) {
  const side = (pick) => estimates.map((one) => (typeof one.low === "number" ? pick(one) : 0));
  return { type: "data", symmetric: false, array: side((one) => one.high - one.value), arrayminus: side((one) => one.value - one.low), color: css("ink"), thickness: 1.4, width: 5 };
}
