"""The report of an evaluation: a table for the terminal, and one HTML file that needs nothing else.

The HTML holds English and Chinese and switches between them (``pages``). Everything from the result is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table as RichTable
from rich.text import Text

from palate.errors import Unavailable
from palate.evaluate import pages
from palate.evaluate.bootstrap import Estimate
from palate.evaluate.pages import COLOURS, Drawing, number, pair
from palate.evaluate.result import EvaluationResult, Table, to_json

LABELS: dict[str, tuple[str, str]] = {
    "ndcg": ("NDCG", "归一化折损累计增益"),
    "mrr": ("MRR", "平均倒数排名"),
    "hit_rate": ("Hit rate", "命中率"),
    "recall": ("Recall", "召回率"),
    "precision": ("Precision", "精确率"),
    "f1": ("F1", "F1 值"),
    "accuracy": ("Accuracy", "准确率"),
    "coverage": ("Coverage", "覆盖率"),
    "novelty": ("Novelty (bits)", "新颖度（比特）"),
    "diversity": ("Diversity", "多样性"),
}
SYSTEMS: dict[str, tuple[str, str]] = {
    "palate": ("Palate", "Palate"),
    "random": ("Random", "随机"),
    "popular": ("Popular, all time", "全时段热门"),
    "recent_popular": ("Recent popular", "近期热门"),
    "item_knn": ("Item-kNN", "物品近邻"),
    "ease": ("EASE", "EASE"),
    "sasrec": ("SASRec", "SASRec"),
    "lstm": ("LSTM", "LSTM"),
    "ncf": ("NCF", "NCF"),
}
SEEN: dict[str, tuple[str, str]] = {
    "drop": ("New items only (seen=drop)", "仅未接触过的物品 (seen=drop)"),
    "keep": ("All items (seen=keep)", "全部物品 (seen=keep)"),
}
SLICES: dict[str, tuple[str, str]] = {
    "items": ("Cold items", "冷启动物品"),
    "users": ("Cold users", "冷启动用户"),
    "warm": ("Warm", "非冷启动"),
}
_SHORT = ("ndcg", "mrr", "hit_rate", "precision", "f1", "coverage", "novelty", "diversity")


def render_table(result: EvaluationResult, metrics: Sequence[str] = _SHORT, chinese: bool = False) -> RichTable:
    """A table for a terminal: a row for each system in each ``seen``; the best of each column is bold.

    ``chinese``: names and headings in Chinese instead of English; metrics with a name that everybody uses keep it.
    Intervals stand under NDCG alone, so that the table fits; all of them are in the JSON and the HTML.
    """
    k = int(result.protocol["k"])
    data, count = result.protocol["data"], result.protocol["test_window_events"]
    title = f"{data}: successive, {count} events in the test window"
    if chinese:
        title = f"{data}：逐个评测，测试窗口有 {count} 个事件"
    table = RichTable(title=title, title_justify="left")
    table.add_column("接触过的" if chinese else "seen")
    table.add_column("系统" if chinese else "system")
    for metric in metrics:
        label = LABELS[metric][chinese and metric not in ("ndcg", "mrr")]
        table.add_column(f"{label}@{k}", justify="right")
    modes = [str(mode) for mode in result.protocol["seen"]]
    for mode in modes:
        best = {metric: _best(result.systems, mode, metric) for metric in metrics}
        for name, tables in result.systems.items():
            cells: list[Text] = []
            for metric in metrics:
                estimate = tables[mode][metric]
                text = number(estimate.value)
                if metric == "ndcg" and estimate.low is not None:
                    text += f"\n{number(estimate.low)}–{number(estimate.high)}"
                cells.append(Text(text, style="bold" if name == best[metric] else ""))
            table.add_row(Text(mode), Text(SYSTEMS.get(name, (name, name))[chinese]), *cells)
        table.add_section()
    return table


def _best(systems: Table, mode: str, metric: str) -> str | None:
    values = {name: value for name, t in systems.items() if (value := t[mode][metric].value) is not None}
    return max(values, key=lambda name: values[name]) if values else None


def sentences(result: EvaluationResult) -> list[tuple[str, str]]:
    """What came out, one sentence for each ``seen``, in English and Chinese."""
    found: list[tuple[str, str]] = []
    for row in result.comparisons:
        if not row.best:
            continue
        one, low, high = (number(value) for value in (row.difference.value, row.difference.low, row.difference.high))
        english, chinese = SYSTEMS.get(row.baseline, (row.baseline, row.baseline))
        times = "" if row.ratio is None else f" (×{row.ratio:.2f})"
        found.append(
            (
                f"{SEEN[row.seen][0]}: NDCG of Palate − {english}, the best baseline: {one}{times}, interval {low} to "
                f"{high}.",
                f"{SEEN[row.seen][1]}：Palate 与最佳基线（{chinese}）的 NDCG 之差：{one}{times}，"
                f"区间 {low} 至 {high}。",
            )
        )
    return found


def render_html(result: EvaluationResult) -> str:
    """One self-contained HTML page, readable on a phone. Cost: milliseconds, and 5 MB with plots."""
    return pages.render(
        "palate.evaluate",
        "report.html",
        drawings(result),
        result=result,
        protocol=result.protocol,
        labels=LABELS,
        systems=SYSTEMS,
        seen=SEEN,
        slices=SLICES,
        findings=sentences(result),
        best=_best,
        tables={"items": result.cold["items"], "users": result.cold["users"], "warm": result.warm},
    )


def drawings(result: EvaluationResult) -> list[Drawing]:
    """Bars with intervals for the main metrics, then cold against warm."""
    made: list[Drawing] = []
    modes = [str(mode) for mode in result.protocol["seen"]]
    for metric in ("ndcg", "hit_rate", "mrr", "novelty", "diversity", "coverage"):
        parts = [
            ([tables[mode][metric] for tables in result.systems.values()], list(result.systems), SEEN[mode])
            for mode in modes
        ]
        made.append(_drawing(LABELS[metric], parts))
    for mode in modes:
        slices = {"warm": result.warm, **result.cold}
        parts = [
            ([tables[mode]["ndcg"] for tables in part.values()], list(part), SLICES[name])
            for name, part in slices.items()
        ]
        english, chinese = SEEN[mode]
        made.append(_drawing((f"NDCG · {english}", f"NDCG · {chinese}"), parts))
    return made


def _drawing(
    title: tuple[str, str], parts: Sequence[tuple[Sequence[Estimate], Sequence[str], tuple[str, str]]]
) -> Drawing:
    """Bars beside one another for each system; a part: its estimates, of which systems, and what it is called."""
    layout = {"barmode": "group", "yaxis": {"rangemode": "tozero"}, "xaxis": {"showgrid": False}}
    traces = [
        _bars(estimates, names, label) | {"marker": {"color": COLOURS[at]}}
        for at, (estimates, names, label) in enumerate(parts)
    ]
    return {"title": pair(*title), "traces": traces, "layout": layout}


def _bars(estimates: Sequence[Estimate], names: Sequence[str], label: tuple[str, str]) -> Drawing:
    above = [_gap(estimate.high, estimate.value) for estimate in estimates]
    below = [_gap(estimate.value, estimate.low) for estimate in estimates]
    return {
        "type": "bar",
        "name": pair(*label),
        "x": [pair(*SYSTEMS.get(name, (name, name))) for name in names],
        "y": [estimate.value for estimate in estimates],
        "error_y": {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "thickness": 1.2},
    }


def _gap(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(0.0, high - low)


def save(result: EvaluationResult, directory: Path) -> tuple[Path, Path]:
    """Write ``latest.json`` and ``latest.html`` into ``directory`` (made when missing), each whole or not at all.

    Errors: ``Unavailable`` where the disk refuses.
    """
    parts = {"latest.json": to_json(result), "latest.html": render_html(result).encode()}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, data in parts.items():
            fresh = directory / f".{name}.new"
            fresh.write_bytes(data)
            fresh.replace(directory / name)
    except OSError as error:
        raise Unavailable(f"The report can't be written to {directory}: {error.strerror}.") from None
    return directory / "latest.json", directory / "latest.html"
