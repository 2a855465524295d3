"""The figures of a run as one HTML file in English and Chinese that needs nothing else: goals, and plots by Plotly."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from math import ceil, floor, log10
from pathlib import Path
from typing import Any, NamedTuple

from palate.bench.common import Figures
from palate.bench.world import short
from palate.errors import InvalidInput, Unavailable
from palate.evaluate import pages
from palate.evaluate.pages import GOAL as _GOAL
from palate.evaluate.pages import OTHER as _EMPTY
from palate.evaluate.pages import OURS as _OURS
from palate.evaluate.pages import SECOND as _OBVIOUS
from palate.evaluate.pages import Drawing
from palate.evaluate.pages import pair as _pair

_DASHES = {"p50_ms": "solid", "p99_ms": "dash", "p999_ms": "dot"}
_NAMES = {
    "empty": {"en": "empty handler", "zh": "空处理器"},
    "palate": {"en": "Palate", "zh": "Palate"},
    "obvious": {"en": "obvious implementation", "zh": "常见实现"},
    "goal": {"en": "goal", "zh": "目标"},
}


class Row(NamedTuple):
    """A goal as it is shown: its name in both languages, what was measured and what should have been, with units."""

    english: str
    chinese: str
    measured: str
    limit: str
    met: bool


def check(file: Path) -> None:
    """Errors: ``Unavailable`` without Plotly, ``InvalidInput`` where ``file`` can't be written to."""
    if find_spec("plotly") is None:
        raise Unavailable("Plots need Plotly: pip install 'palate[dashboard]'.")
    if not file.resolve().parent.is_dir() or file.is_dir():
        raise InvalidInput(f"{file} can't be written: give a file in a directory that exists.", "--plot")


def write(found: Figures, rows: Sequence[Row], file: Path) -> None:
    """Draw ``found`` into ``file``; ``rows``: the goals. Errors: ``OSError``."""
    text = pages.render(
        "palate.bench",
        "bench.html",
        drawings(found),
        machine=found["machine"],
        items=found["items"],
        users=found["users"],
        rows=rows,
    )
    file.write_text(text, encoding="utf-8")


def drawings(found: Figures) -> list[Drawing]:
    """A plot for each section that was measured and has something to draw."""
    made: list[Drawing] = []
    if "rank" in found:
        made += [_cost(found["rank"]), _latency(found["rank"]["latency"])]
    if "trees" in found:
        made.append(_trees(found["trees"]))
    if "events" in found:
        made.append(_events(found["events"]))
    if "recommend" in found:
        made.append(_recommend(found["recommend"]))
    if "scale" in found:
        made += [_growth(_by_number(found["scale"], "")), _held(_by_number(found["scale"], ""))]
    if "memory" in found:
        made.append(_memory(found["memory"]))
    return made


def _bars(names: Sequence[Any], values: Sequence[float], colours: Sequence[str] | str, unit: str) -> Drawing:
    """Horizontal bars, the first on top, each with its value beside it."""
    return {
        "type": "bar", "orientation": "h", "y": list(names), "x": list(values), "marker": {"color": colours},
        "text": [f"{value:,.0f}{unit}" for value in values], "textposition": "outside", "cliponaxis": False,
        "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip


def _flat(title: dict[str, str], trace: Drawing, marks: Sequence[tuple[float, Any]] = (), log: bool = False) -> Drawing:
    """Bars in their frame; ``marks`` are upright lines with a name above."""
    x: Drawing = {"visible": False, "type": "log" if log else "linear"}
    if not log:
        x["range"] = [0, 1.25 * max([*trace["x"], *(at for at, _ in marks)])]
    shapes = [
        {
            "type": "line",
            "x0": at,
            "x1": at,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"color": _GOAL, "dash": "dash"},
        }
        for at, _ in marks
    ]
    notes = [
        {"x": at, "yref": "paper", "y": 1.0, "yanchor": "bottom", "text": text, "showarrow": False,
         "font": {"color": _GOAL}}
        for at, text in marks
    ]  # fmt: skip
    y = {"autorange": "reversed", "showgrid": False, "ticksuffix": "  "}
    layout = {"xaxis": x, "yaxis": y, "shapes": shapes, "annotations": notes}
    return {"title": title, "traces": [trace], "layout": layout}


def _cost(rank: Figures) -> Drawing:
    kinds = [("empty", "empty_cpu_us", _EMPTY), ("palate", "cpu_us", _OURS), ("obvious", "baseline_cpu_us", _OBVIOUS)]
    here = [(kind, rank[name], colour) for kind, name, colour in kinds if name in rank]
    trace = _bars([_NAMES[k] for k, _, _ in here], [v for _, v, _ in here], [c for _, _, c in here], " µs")
    marks: list[tuple[float, Any]] = [(8 * rank["empty_cpu_us"], _pair("8 × empty", "空处理器的 8 倍"))]
    return _flat(_pair("CPU of a ranking of 100 candidates", "对 100 个候选排序一次的 CPU"), trace, marks)


def _latency(table: list[Figures]) -> Drawing:
    traces: list[Drawing] = []
    rates = [row["per_s"] for row in table]
    for kind, prefix, colour in (("empty", "empty_", _EMPTY), ("palate", "", _OURS)):
        for name, dash in _DASHES.items():
            quantile = name.removesuffix("_ms").replace("p999", "p99.9")
            traces.append(
                {
                    "type": "scatter", "mode": "lines+markers", "x": rates, "y": [row[prefix + name] for row in table],
                    "name": {key: f"{text}, {quantile}" for key, text in _NAMES[kind].items()},
                    "line": {"color": colour, "dash": dash},
                    "marker": {
                        "size": 8, "symbol": ["circle" if row[f"{prefix}kept_up"] else "x" for row in table],
                    },
                }
            )  # fmt: skip
    layout = {
        "xaxis": {"title": _pair("rankings a second (✕: more than it can take)", "每秒排序次数（✕：超出处理能力）"),
                  "tickvals": rates},
        "yaxis": _log("ms", traces),
    }  # fmt: skip
    return {
        "title": _pair("Latency from when a request was due", "从应发出的时刻起算的延迟"),
        "traces": traces,
        "layout": layout,
    }


def _trees(trees: Figures) -> Drawing:
    kinds = [
        ("", _pair("31 leaves", "31 叶")), ("random_", _pair("random numbers", "随机数")),
        ("missing_", _pair("64, missing values", "64 叶、缺失值")), ("categories_", _pair("categories", "类别")),
    ]  # fmt: skip
    x = [label for _, label in kinds]
    traces = [
        {
            "type": "bar", "x": x, "y": [trees[f"{case}{key}"] for case, _ in kinds], "name": name,
            "marker": {"color": colour}, "texttemplate": "%{y:,.0f}", "textposition": "outside", "cliponaxis": False,
        }
        for key, name, colour in (("palate_us", "Palate", _OURS), ("lightgbm_us", "Booster.predict", _OBVIOUS))
    ]  # fmt: skip
    layout = {"barmode": "group", "xaxis": {"showgrid": False}, "yaxis": {"title": _pair("µs of CPU", "CPU 微秒")}}
    return {"title": _pair("The forest over 100 rows", "对 100 行计算森林"), "traces": traces, "layout": layout}


def _events(events: Figures) -> Drawing:
    kinds = [
        ("fsync_per_s", _pair("commits of the disk", "磁盘提交"), _EMPTY),
        ("durable_per_s", _pair("one by one", "逐个"), _OURS),
        ("http_batch_per_s", _pair("hundreds over HTTP", "经 HTTP 每批一百"), _OURS),
        ("batch_per_s", _pair("hundreds in process", "进程内每批一百"), _OURS),
    ]
    here = [(name, events[key], colour) for key, name, colour in kinds if key in events]
    trace = _bars([n for n, _, _ in here], [v for _, v, _ in here], [c for _, _, c in here], "/s")
    return _flat(_pair("Durable events a second", "每秒持久化事件"), trace)


def _by_number(section: Figures, end: str) -> list[tuple[int, Any]]:
    """Figures whose names begin with a number as ``world.short`` writes it, and end in ``end``; ascending."""
    scale = {"k": 1_000, "m": 1_000_000}
    found: list[tuple[int, Any]] = []
    for name, figure in section.items():
        head = name.removesuffix(end)
        digits = head.rstrip("km")
        if name.endswith(end) and digits.isdigit():
            found.append((int(digits) * scale.get(head[len(digits) :], 1), figure))
    return sorted(found, key=lambda pair: pair[0])


def _line(x: Sequence[float], y: Sequence[float], name: Any, colour: str, dash: str = "solid") -> Drawing:
    return {"type": "scatter", "mode": "lines+markers", "x": list(x), "y": list(y), "name": name,
            "line": {"color": colour, "dash": dash}, "marker": {"size": 8}}  # fmt: skip


def _ticks(table: list[tuple[int, Any]]) -> Drawing:
    return {"tickvals": [n for n, _ in table], "ticktext": [short(n) for n, _ in table]}


def _log(title: Any, traces: Sequence[Drawing]) -> Drawing:
    """A logarithmic axis over all ``y`` of the traces, with a tick at 1, 2 and 5 of each power of ten."""
    values = [value for trace in traces for value in trace["y"] if value > 0]
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    ticks = [step * 10.0**power for power in range(low, high + 1) for step in (1, 2, 5)]
    return {"title": title, "type": "log", "tickvals": ticks, "ticktext": [f"{tick:,g}" for tick in ticks]}


def _recommend(section: Figures) -> Drawing:
    costs = _by_number(section, "_cpu_us")
    tails = _by_number(section, "_p99_ms")
    traces = [
        _line([n for n, _ in costs], [us / 1000 for _, us in costs], "CPU", _OURS),
        _line([n for n, _ in tails], [ms for _, ms in tails], "p99", _OURS, "dash"),
    ]
    goals = [(at, ms) for at, ms in ((100_000, 3), (1_000_000, 15)) if any(n == at for n, _ in costs)]
    if goals:
        mark = _line([at for at, _ in goals], [ms for _, ms in goals], _NAMES["goal"], _GOAL)
        traces.append(
            mark | {"mode": "markers", "marker": {"size": 12, "symbol": "line-ew-open", "line": {"width": 3}}}
        )
    layout = {
        "xaxis": {"title": _pair("items", "物品数"), "type": "log", **_ticks(costs)},
        "yaxis": _log("ms", traces),
    }
    return {
        "title": _pair("A recommendation from the whole catalogue", "从整个目录推荐一次"),
        "traces": traces,
        "layout": layout,
    }


def _growth(table: list[tuple[int, Any]]) -> Drawing:
    people = [n for n, _ in table]
    traces = [
        _line(people, [row["rank_cpu_us"] for _, row in table], _pair("a ranking", "一次排序"), _OURS),
        _line(people, [row["events_cpu_us"] for _, row in table], _pair("an event", "一个事件"), _OBVIOUS),
    ]
    layout = {
        "xaxis": {"title": _pair("people", "用户数"), "type": "log", **_ticks(table)},
        "yaxis": {"title": _pair("µs of CPU", "CPU 微秒"), "rangemode": "tozero"},
    }
    return {"title": _pair("CPU as the people grow", "用户增多时的 CPU"), "traces": traces, "layout": layout}


def _held(table: list[tuple[int, Any]]) -> Drawing:
    people = [n for n, _ in table]
    traces = [
        _line(people, [row["rss_mb"] for _, row in table], _pair("in memory", "内存"), _OURS),
        _line(people, [row["disk_mb"] for _, row in table], _pair("on disk", "磁盘"), _EMPTY),
    ]
    layout = {
        "xaxis": {"title": _pair("people", "用户数"), "type": "log", **_ticks(table)},
        "yaxis": _log("MB", traces),
    }
    return {"title": _pair("What they take", "占用空间"), "traces": traces, "layout": layout}


def _memory(memory: Figures) -> Drawing:
    kinds = [
        ("user_100_events_bytes", _pair("a person with 100 events", "有 100 个事件的用户"), _OURS),
        ("item_bytes", _pair("an item", "一个物品"), _OBVIOUS),
        ("item_vector_bytes", _pair("its vector", "其向量"), _OBVIOUS),
        ("item_sparse_bytes", _pair("its pairs and words", "其共现与词"), _OBVIOUS),
    ]
    trace = _bars([n for _, n, _ in kinds], [memory[key] for key, _, _ in kinds], [c for _, _, c in kinds], " B")
    return _flat(_pair("Bytes in memory", "内存字节"), trace)
