"""The page of a judgement on logged decisions: one HTML file in English and Chinese, with a plot where Plotly is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palate.evaluate import pages
from palate.evaluate.judgement import Judgement
from palate.evaluate.pages import OTHER, OURS, Drawing, pair


def render_html(found: Judgement, lines: Sequence[tuple[str, str]], names: Mapping[str, tuple[str, str]]) -> str:
    """One self-contained page. lines: what is said beside the numbers; names: of the rows; each English and Chinese."""
    rows = {"logged": found.logged, **found.estimates, "lift": found.lift} if found.estimates else {}
    return pages.render(
        "palate.evaluate",
        "replay.html",
        [drawing(found, names)] if rows else [],
        found=found,
        rows=rows,
        names=names,
        lines=lines,
        variant=tuple(text.format(depth=found.depth) for text in names[found.variant]),
    )


def drawing(found: Judgement, names: Mapping[str, tuple[str, str]]) -> Drawing:
    """Points with intervals, a row an estimator; the logged value is the line to compare with."""
    rows = {"logged": found.logged, **found.estimates}
    named = {name: one for name, one in rows.items() if one.value is not None}
    values = [one.value or 0.0 for one in named.values()]
    lows = [value if one.low is None else one.low for value, one in zip(values, named.values(), strict=True)]
    highs = [value if one.high is None else one.high for value, one in zip(values, named.values(), strict=True)]
    colours = [OTHER if name == "logged" else OURS for name in named]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": [pair(*names[name]) for name in named],
        "marker": {"size": 11, "color": colours},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, high - value) for high, value in zip(highs, values, strict=True)],
            "arrayminus": [max(0.0, value - low) for low, value in zip(lows, values, strict=True)],
            "color": OURS,
            "thickness": 1.6,
        },
    }
    level = found.logged.value
    look = {"dash": "dot", "color": OTHER, "width": 1.5}
    line = {"type": "line", "x0": level, "x1": level, "y0": 0, "y1": 1, "yref": "paper", "line": look}
    return {
        "title": pair("Estimates with 95 % intervals", "估计值与 95 % 区间"),
        "traces": [trace],
        "layout": {
            "yaxis": {"autorange": "reversed", "showgrid": False, "ticksuffix": "  "},
            "shapes": [] if level is None else [line],
        },
    }
