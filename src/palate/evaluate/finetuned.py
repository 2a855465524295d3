"""A fine-tuning as one HTML page that needs nothing else: figures, loss an epoch, confusion of the classes.

The plots are SVG of its own making: no library is needed, and the page is small.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from palate.errors import Unavailable
from palate.train.text.classify import TuneReport

_MOST_CLASSES = 40
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee6;--page:#fff;--mark:#1f6feb;--other:#b35900}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa5b4;--line:#313a46;--page:#12161c;--mark:#6aa8ff;
--other:#f0a050}}
body{margin:0 auto;max-width:60rem;padding:1rem;color:var(--ink);background:var(--page);
font:16px/1.5 system-ui,"Noto Sans CJK SC",sans-serif}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--line);text-align:right}
th:first-child,td:first-child{text-align:left}
svg{max-width:100%;height:auto}svg text{fill:currentColor;font-size:12px}p{color:var(--soft)}
"""


def render(report: TuneReport, title: str) -> str:
    """The page. Everything that comes from data is escaped."""
    scores = report.scores
    facts = [
        ("Accuracy", f"{scores.accuracy:.3f} [{scores.low:.3f}, {scores.high:.3f}]"),
        ("Always the commonest", f"{scores.majority:.3f}"),
        ("Precision, recall, F1 (means over classes)", f"{scores.precision:.3f}, {scores.recall:.3f}, {scores.f1:.3f}"),
        ("Rows learnt from, to stop by, to judge by", ", ".join(f"{n:,}" for n in report.rows)),
        ("Parameters, of which learnt", f"{report.parameters:,}, {report.learnt:,}"),
        ("Seconds", f"{report.seconds:,.0f}" + (" (the minutes were over)" if report.cut else "")),
    ]
    classes = [
        (one.label, f"{one.precision:.3f}", f"{one.recall:.3f}", f"{one.f1:.3f}", f"{one.count:,}")
        for one in scores.classes
    ]
    head = ("Class", "Precision", "Recall", "F1", "Rows")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(title)}</title><link rel="icon" href="data:,">'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"{_table(facts)}<h2>Loss</h2>{losses(report)}<h2>Classes</h2>{_table(classes, head)}"
        f"<h2>Confusion</h2><p>Rows are what a text is, columns what it was taken for.</p>"
        f'<div class="wide">{confusion(scores.confusion, [one.label for one in scores.classes])}</div></body></html>'
    )


def write(path: Path, page: str) -> None:
    """Errors: ``Unavailable``."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"{path} can't be written: {error.strerror}.") from None


def losses(report: TuneReport) -> str:
    """Loss of learning and of the rows to stop by, an epoch a point."""
    series = [[one.loss for one in report.epochs], [one.valid_loss for one in report.epochs]]
    top = max(max(values) for values in series) * 1.05 or 1.0
    wide, tall, left = 480, 200, 40
    step = (wide - left - 20) / max(1, len(report.epochs) - 1)
    parts = [f'<svg viewBox="0 0 {wide} {tall + 40}" width="{wide}" role="img" aria-label="loss of each epoch">']
    parts.append(f'<path d="M{left} 10V{tall}H{wide - 10}" fill="none" stroke="currentColor" opacity=".4"/>')
    parts += [
        f'<text x="{left - 4}" y="{tall - (tall - 10) * share + 4}" text-anchor="end">{top * share:.2f}</text>'
        for share in (0.0, 0.5, 1.0)
    ]
    parts += [f'<text x="{left + step * at}" y="{tall + 16}">{at + 1}</text>' for at in range(len(report.epochs))]
    for values, colour, name, at in zip(series, ("--mark", "--other"), ("learning", "stopping"), (0, 1), strict=True):
        points = [(left + step * place, tall - (tall - 10) * value / top) for place, value in enumerate(values)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="var({colour})" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="var({colour})"/>' for x, y in points]
        parts.append(f'<text x="{left + 90 * at}" y="{tall + 34}" style="fill:var({colour})">{name}</text>')
    return "".join(parts) + "</svg>"


def confusion(counts: list[list[int]], names: list[str]) -> str:
    """A cell a pair of classes, darker the larger its share of the row; the first forty classes."""
    names, counts = names[:_MOST_CLASSES], [row[:_MOST_CLASSES] for row in counts[:_MOST_CLASSES]]
    size, left = 46, 120
    wide = left + size * len(names)
    parts = [f'<svg viewBox="0 0 {wide} {wide}" width="{wide}" role="img" aria-label="confusion of classes">']
    for at, name in enumerate(names):
        short = escape(name if len(name) <= 14 else name[:13] + "…")
        middle = left + size * at + size / 2
        parts.append(f'<text x="{left - 6}" y="{middle + 4}" text-anchor="end">{short}</text>')
        parts.append(f'<text transform="translate({middle + 4} {left - 6}) rotate(-90)">{short}</text>')
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            share = count / max(1, sum(row))
            corner = left + size * x, left + size * y
            parts.append(
                f'<rect x="{corner[0]}" y="{corner[1]}" width="{size - 2}" height="{size - 2}" '
                f'fill="var(--mark)" fill-opacity="{0.06 + 0.7 * share:.2f}"/>'
            )
            parts.append(
                f'<text x="{corner[0] + size / 2 - 1}" y="{corner[1] + size / 2 + 4}" text-anchor="middle">'
                f"{count}</text>"
            )
    return "".join(parts) + "</svg>"


def _table(rows: list[tuple[str, ...]], head: tuple[str, ...] = ()) -> str:
    top = f"<tr>{''.join(f'<th>{escape(one)}</th>' for one in head)}</tr>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table>{top}{body}</table></div>'
