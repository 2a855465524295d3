"""The picture of freshness: NDCG against the events withheld, a panel for each data set, as SVG or by Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.quality.figures import Figures

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 220, 56, 64, 70
KINDS = {"log": "of everybody's events", "own": "of the person's own"}
_STYLE = """
    .page { fill: #fbfaf8; stroke: #d8d3cb }
    .grid { stroke: #d8d3cb; stroke-width: 1 }
    .name { fill: #1c1917; font-size: 15px; font-weight: 600 }
    .note { fill: #57534e; font-size: 12px }
    .log { stroke: #7a2f5b } .log-band { fill: #7a2f5b; opacity: .16 } .log-dot { fill: #7a2f5b }
    .own { stroke: #0f766e } .own-band { fill: #0f766e; opacity: .16 } .own-dot { fill: #0f766e }
    .curve { fill: none; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #1b1a18; stroke: #3a3733 }
      .grid { stroke: #3a3733 }
      .name { fill: #f5f4f2 }
      .note { fill: #c4beb6 }
      .log { stroke: #d28ab1 } .log-band, .log-dot { fill: #d28ab1 }
      .own { stroke: #5cc2b4 } .own-band, .own-dot { fill: #5cc2b4 }
    }"""


def mode_of(one: Figures) -> str:
    """The seen mode that is drawn: new items, where that was asked for."""
    modes = list(one["freshness"]["log"])
    return "drop" if "drop" in modes else modes[0]


def picture(found: Sequence[Figures]) -> str:
    """An SVG of its own: a band is a 95 % interval over people."""
    width = LEFT + len(found) * (WIDTH + GAP) - GAP + 30
    height = TOP + HEIGHT + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-labelledby="t d" font-family="system-ui, -apple-system, \'Segoe UI\', sans-serif">',
        '  <title id="t">Ranking quality against the events withheld</title>',
        f'  <desc id="d">{escape(_said(found))}</desc>',
        f"  <style>{_STYLE}\n  </style>",
        f'  <rect class="page" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="12"/>',
    ]
    at = LEFT
    for kind, label in KINDS.items():
        parts.append(f'  <path class="curve {kind}" d="M{at} 24h22"/>')
        parts.append(f'  <text class="note" x="{at + 28}" y="28">the last n {label} withheld</text>')
        at += 240
    for place, one in enumerate(found):
        parts += _panel(one, LEFT + place * (WIDTH + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(one: Figures, left: float) -> list[str]:
    mode = mode_of(one)
    rows = {kind: one["freshness"][kind][mode] for kind in KINDS}
    amounts = [row["amount"] for row in rows["log"]]
    tops = [row["ndcg"]["high"] or row["ndcg"]["value"] or 0.0 for part in rows.values() for row in part]
    step = _step(max(tops, default=0.0))
    top = step * (int(max(tops, default=0.0) / step) + 1)

    def x(place: int) -> float:
        return left + WIDTH * place / max(1, len(amounts) - 1)

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - value / top)

    title = f"{one['data']}, {mode}"
    made = [f'  <text class="name" x="{left}" y="{TOP - 14}">{escape(title)}</text>']
    for tick in range(round(top / step) + 1):
        value = tick * step
        made.append(f'  <path class="grid" d="M{left} {y(value):.1f}h{WIDTH}"/>')
        made.append(f'  <text class="note" x="{left - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    for place, amount in enumerate(amounts):
        text = "all" if amount < 0 else str(amount)
        made.append(
            f'  <text class="note" x="{x(place):.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{text}</text>'
        )
    made.append(
        f'  <text class="note" x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 40}" text-anchor="middle">events withheld; '
        "NDCG@10 upwards</text>"
    )
    for kind, part in rows.items():
        values = [(x(place), row["ndcg"]) for place, row in enumerate(part) if row["ndcg"]["value"] is not None]
        band = [(at, ndcg) for at, ndcg in values if ndcg["low"] is not None]
        if band:
            edge = [f"{at:.1f} {y(ndcg['high']):.1f}" for at, ndcg in band]
            edge += [f"{at:.1f} {y(ndcg['low']):.1f}" for at, ndcg in reversed(band)]
            made.append(f'  <path class="{kind}-band" d="M{"L".join(edge)}Z"/>')
        curve = "L".join(f"{at:.1f} {y(ndcg['value']):.1f}" for at, ndcg in values)
        made.append(f'  <path class="curve {kind}" d="M{curve}"/>')
        made += [
            f'  <circle class="{kind}-dot" cx="{at:.1f}" cy="{y(ndcg["value"]):.1f}" r="3"/>' for at, ndcg in values
        ]
    return made


def _step(top: float) -> float:
    """Between two lines of the grid."""
    return next((step for step in (0.01, 0.02, 0.05, 0.1) if top <= 5 * step), 0.2)


def _said(found: Sequence[Figures]) -> str:
    parts: list[str] = []
    for one in found:
        mode = mode_of(one)
        for kind, label in KINDS.items():
            row = one["freshness"][kind][mode][-1]
            first = one["freshness"][kind][mode][0]
            if row["ndcg"]["value"] is not None and first["ndcg"]["value"] is not None:
                parts.append(
                    f"{one['data']}: {first['ndcg']['value']:.3f} with everything, {row['ndcg']['value']:.3f} without "
                    f"all {label} since training."
                )
    return " ".join(parts)


def draw(found: Sequence[Figures], file: Path) -> None:
    """The same by Plotly, every seen mode, into one HTML file that needs no network."""
    import plotly.graph_objects as graph
    from plotly.subplots import make_subplots

    panels = [(one, mode) for one in found for mode in one["freshness"]["log"]]
    titles = [f"{one['data']}, {mode}" for one, mode in panels]
    made: Any = make_subplots(rows=len(panels), cols=1, subplot_titles=titles)
    for row, (one, mode) in enumerate(panels, 1):
        for kind, colour in (("log", "#7a2f5b"), ("own", "#0f766e")):
            part = one["freshness"][kind][mode]
            values = [point["ndcg"]["value"] for point in part]
            curve = graph.Scatter(
                x=["all" if point["amount"] < 0 else str(point["amount"]) for point in part],
                y=values,
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": [(point["ndcg"]["high"] or 0) - (point["ndcg"]["value"] or 0) for point in part],
                    "arrayminus": [(point["ndcg"]["value"] or 0) - (point["ndcg"]["low"] or 0) for point in part],
                },
                name=f"the last n {KINDS[kind]} withheld",
                legendgroup=kind,
                showlegend=row == 1,
                line={"color": colour},
            )
            made.add_trace(curve, row=row, col=1)
        made.update_xaxes(type="category", title_text="events withheld", row=row, col=1)
        made.update_yaxes(title_text="NDCG@10, 95 % intervals", rangemode="tozero", row=row, col=1)
    made.update_layout(template="plotly_white", height=380 * len(panels))
    made.write_html(str(file), include_plotlyjs=True, full_html=True)
