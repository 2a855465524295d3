const root = document.documentElement;
function spoken(value) {
  if (value === null || typeof value !== "object") return value;
  if ("zh" in value) return value[root.lang];
  if (Array.isArray(value)) return value.map(spoken);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, spoken(inner)]));
}
function axis(given) {
  const made = { gridcolor: "rgba(128,128,128,.25)", zeroline: false, automargin: true, ...given };
  return typeof made.title === "string" ? { ...made, title: { text: made.title, font: { size: 13 } } } : made;
}
function draw() {
  if (!window.Plotly) return;
  const ink = getComputedStyle(root).getPropertyValue("--ink").trim();
  drawings.forEach((drawing, index) => {
    const { xaxis, yaxis, ...rest } = spoken(drawing.layout);
    Plotly.react("plot-" + index, spoken(drawing.traces), {
      font: { color: ink, size: 13, family: getComputedStyle(document.body).fontFamily }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", bargap: .35,
      margin: { l: 8, r: 20, t: 24, b: 8 }, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } }, xaxis: axis(xaxis), yaxis: axis(yaxis), ...rest
    }, { displayModeBar: false, responsive: true });
  });
}
function speak(language) {
  root.lang = language;
  const button = document.getElementById("language");
  button.textContent = language === "zh" ? "English" : "中文";
  button.lang = language === "zh" ? "en" : "zh";
  for (const node of document.querySelectorAll(".plot")) node.setAttribute("aria-label", spoken(drawings[Number(node.id.slice(5))].title));
  draw();
}
document.getElementById("language").addEventListener("click", () => speak(root.lang === "zh" ? "en" : "zh"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
speak((navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en");
