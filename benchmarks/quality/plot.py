"""The tables as one HTML file with plots by Plotly, readable without a network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.quality.tables import Line
from palate.errors import Unavailable

_OURS, _THEIRS, _FROZEN = "#2f7de1", "#8b96a5", "#d9822b"


def check() -> None:
    """Errors: ``Unavailable`` without Plotly."""
    if find_spec("plotly") is None:
        raise Unavailable("The plot needs Plotly: pip install 'palate[dashboard]', or leave it out with --no-plot.")


def write(panels: Sequence[tuple[str, Sequence[Line], Sequence[Line]]], k: int, file: Path) -> None:
    """Draw a panel of each (title, lines as they learn, lines when frozen) into ``file``."""
    import plotly.graph_objects as graph
    from plotly.subplots import make_subplots

    made: Any = make_subplots(rows=len(panels), cols=1, subplot_titles=[title for title, _, _ in panels])
    tallest = 0
    for row, (_, live, frozen) in enumerate(panels, 1):
        for lines, name in ((frozen, "frozen at the split"), (live, "learning")):
            shown = [line for line in lines if not line.failed and line.ndcg.value is not None]
            tallest = max(tallest, len(shown))
            bars = graph.Bar(
                y=[line.label for line in shown],
                x=[line.ndcg.value for line in shown],
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [_gap(line.ndcg.high, line.ndcg.value) for line in shown],
                    "arrayminus": [_gap(line.ndcg.value, line.ndcg.low) for line in shown],
                },
                orientation="h",
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                marker_color=_FROZEN if lines is frozen else [_OURS if x.name == "palate" else _THEIRS for x in shown],
            )
            made.add_trace(bars, row=row, col=1)
        made.update_yaxes(autorange="reversed", row=row, col=1)
        made.update_xaxes(title_text=f"NDCG@{k}, 95 % intervals over users", rangemode="tozero", row=row, col=1)
    height = len(panels) * (120 + 44 * tallest)
    made.update_layout(barmode="group", template="plotly_white", height=height, legend_traceorder="reversed")
    made.write_html(str(file), include_plotlyjs=True, full_html=True)


def _gap(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(0.0, high - low)
