"""The one frame of the HTML files that Palate writes: self-contained, English and Chinese, plots where Plotly is.

With Plotly installed a page with drawings embeds its script (about 5 MB), else it has its tables alone. Everything
that comes from data is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, select_autoescape
from markupsafe import Markup

Drawing = dict[str, Any]
"""title, traces and layout of Plotly; a text is {"en": …, "zh": …}."""
OURS, OTHER, SECOND, GOAL = "#b0568c", "#8b96a5", "#d9822b", "#2a9d5c"
"""Colours of plots that can be told apart on light and on dark: Palate, what it is compared with, a third, a goal."""
COLOURS = (OURS, OTHER, SECOND, GOAL, "#4f7fd6", "#c0392b")


def render(package: str, template: str, drawings: Sequence[Drawing] = (), **values: Any) -> str:
    """A page from ``template`` of ``package``, which extends our ``page.html``. Cost: milliseconds, 5 MB with plots."""
    page = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("palate.evaluate")]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page.filters["number"] = number
    script = plotly_script() if drawings else None
    return page.get_template(template, globals={"two": two}).render(
        drawings=[] if script is None else list(drawings),
        plotly=None if script is None else Markup(script),  # noqa: S704 (Plotly's own script)
        **values,
    )


def two(english: object, chinese: object) -> Markup:
    """A text in both languages, of which the page shows one."""
    return Markup('<span class="en">{}</span><span class="zh" lang="zh">{}</span>').format(english, chinese)


def pair(english: str, chinese: str) -> dict[str, str]:
    """A text of a drawing in both languages."""
    return {"en": english, "zh": chinese}


def number(value: float | None) -> str:
    """Four significant places for a table, a dash for none."""
    if value is None:
        return "–"
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def plotly_script() -> str | None:
    """Plotly's script where it is installed. A closing tag in it would end ours early, so none may be there."""
    if find_spec("plotly") is None:
        return None
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs()).replace("</script", "<\\/script")
