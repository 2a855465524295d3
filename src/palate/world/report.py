"""The page of a simulation: one HTML file in English and Chinese, with plots where Plotly is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palate.evaluate import pages
from palate.evaluate.pages import COLOURS, Drawing
from palate.evaluate.pages import pair as _two
from palate.world.measure import Curve, Measured

Pair = tuple[str, str]
"""A text in English and Chinese."""


def render_html(
    found: Sequence[Measured],
    lines: Sequence[Pair],
    columns: Sequence[Pair],
    rows: Sequence[Sequence[Pair]],
    names: Mapping[str, Pair],
) -> str:
    """One self-contained page. lines: what is said above; columns, rows: the table; names: of the rankers."""
    return pages.render("palate.world", "world.html", drawings(found, names), lines=lines, columns=columns, rows=rows)


def drawings(found: Sequence[Measured], names: Mapping[str, Pair]) -> list[Drawing]:
    """Regret so far, quality by day, adaptation after the shift, and exposure of new items, as far as there are any."""
    english, chinese = "regret so far, clicks a person", "累计遗憾，每人点击数"
    made = [
        _curves(
            _two("Regret over time", "遗憾随时间的变化"),
            [(one.ranker, one.regret_so_far) for one in found],
            names,
            _two("day", "天"),
            _two(english, chinese),
        ),
        _curves(
            _two("Quality over time", "质量随时间的变化"),
            [(one.ranker, one.quality_by_day) for one in found],
            names,
            _two("day", "天"),
            _two("share of the best possible", "占最佳可能的比例"),
        ),
    ]
    shifts = [(one.ranker, one.adaptation) for one in found if one.adaptation is not None]
    if shifts:
        drawing = _curves(
            _two("After tastes changed", "口味突变之后"),
            [(name, shift.after) for name, shift in shifts],
            names,
            _two(
                "interactions of the person since (dotted: 90 % of before)", "该用户此后的交互次数（点线：此前的 90 %）"
            ),
            _two("share of the best possible", "占最佳可能的比例"),
        )
        before = shifts[0][1].before.value
        if before is not None:
            drawing["layout"]["shapes"] = [_level(0.9 * before)]
        made.append(drawing)
    fresh = [(one.ranker, one.exposure.by_chances) for one in found if one.exposure is not None]
    if fresh:
        drawing = _curves(
            _two("Exposure of new items", "新物品的曝光"),
            fresh,
            names,
            _two("rankings that could have shown the item before", "此前可以展示它的排序次数"),
            _two("exposure over the fair one", "曝光与公平曝光之比"),
        )
        drawing["layout"]["shapes"] = [_level(1.0)]
        made.append(drawing)
    return made


def _level(y: float) -> Drawing:
    return {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": y, "y1": y, "line": {"dash": "dot", "width": 1}}


def _curves(
    title: dict[str, str],
    curves: Sequence[tuple[str, Curve]],
    names: Mapping[str, Pair],
    x: dict[str, str],
    y: dict[str, str],
) -> Drawing:
    """Lines with their 95 % bands."""
    traces: list[Drawing] = []
    for at, (ranker, curve) in enumerate(curves):
        colour = COLOURS[at % len(COLOURS)]
        banded = [
            (place, low, high)
            for place, low, high in zip(curve.x, curve.low, curve.high, strict=True)
            if low is not None and high is not None
        ]
        if banded:
            xs, lows, highs = ([part[column] for part in banded] for column in range(3))
            traces.append(
                {
                    "type": "scatter", "x": [*xs, *xs[::-1]], "y": [*highs, *lows[::-1]], "fill": "toself",
                    "fillcolor": colour, "opacity": 0.15, "line": {"width": 0}, "mode": "lines", "hoverinfo": "skip",
                    "showlegend": False,
                }
            )  # fmt: skip
        pair = names.get(ranker, (ranker, ranker))
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "x": curve.x, "y": curve.value, "marker": {"size": 5},
                "name": _two(*pair), "line": {"color": colour}, "connectgaps": True,
            }
        )  # fmt: skip
    return {"title": title, "traces": traces, "layout": {"xaxis": {"title": x}, "yaxis": {"title": y}}}
