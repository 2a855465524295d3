"""The page of a judgement on logged decisions: one HTML file in English and Chinese, with a plot where Plotly is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from palate.evaluate.judgement import Judgement
from palate.evaluate.report import number, plotly_script


def render_html(found: Judgement, lines: Sequence[tuple[str, str]], names: Mapping[str, tuple[str, str]]) -> str:
    """One self-contained page. lines: what is said beside the numbers; names: of the rows; each English and Chinese."""
    environment = Environment(
        loader=PackageLoader("palate.evaluate", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    rows = {"logged": found.logged, **found.estimates, "lift": found.lift} if found.estimates else {}
    script = plotly_script() if rows else None
    return environment.get_template("replay.html").render(
        found=found,
        rows=rows,
        names=names,
        lines=lines,
        variant=tuple(text.format(depth=found.depth) for text in names[found.variant]),
        figure=_figure(found, names) if script is not None else None,
        plotly=Markup(script) if script is not None else None,  # noqa: S704 (Plotly's own script)
    )


def _figure(found: Judgement, names: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Points with intervals, a row an estimator; the logged value is the line to compare with."""
    rows = {"logged": found.logged, **found.estimates}
    named = {name: one for name, one in rows.items() if one.value is not None}
    values = [one.value or 0.0 for one in named.values()]
    lows = [value if one.low is None else one.low for value, one in zip(values, named.values(), strict=True)]
    highs = [value if one.high is None else one.high for value, one in zip(values, named.values(), strict=True)]
    return {
        "x": values,
        "names": [names[name] for name in named],
        "above": [max(0.0, high - value) for high, value in zip(highs, values, strict=True)],
        "below": [max(0.0, value - low) for low, value in zip(lows, values, strict=True)],
        "logged": found.logged.value,
    }
