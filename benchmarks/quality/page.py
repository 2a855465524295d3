"""Writes the tables of ``docs/quality.md`` from the figures that were kept, and the picture of freshness.

A table stands between ``<!-- figures: NAME -->`` and ``<!-- end -->``; what stands around them is written by hand. A
table whose figures nobody has measured stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.quality.curve import picture
from benchmarks.quality.data import COUNTED, SHOWN, UNTOUCHED
from benchmarks.quality.figures import Figures, read
from benchmarks.quality.runs import ROOT

PAGE = ROOT / "docs" / "quality.md"
PICTURE = ROOT / "docs" / "images" / "freshness.svg"
MARK = re.compile(r"<!-- figures: (\w+) -->\n.*?<!-- end -->", re.S)
SIMPLE = ("random", "popular", "recent_popular", "item_knn", "ease")
NONE = "–"
Line = dict[str, Any]


def write(work: Path, page: Path = PAGE, image: Path = PICTURE) -> list[str]:
    """Rewrite ``page`` and ``image`` from the figures under ``work``; the tables that there were figures for."""
    counted = read(work, COUNTED)
    text, made = written(page.read_text(encoding="utf-8"), counted, read(work, SHOWN), read(work, UNTOUCHED))
    page.write_text(text, encoding="utf-8")
    aged = [one for one in counted if "log" in one.get("freshness", {})]
    if aged:
        image.write_text(picture(aged), encoding="utf-8")
    return made


def written(
    text: str, counted: Sequence[Figures], shown: Sequence[Figures], untouched: Sequence[Figures] = ()
) -> tuple[str, list[str]]:
    """The page with every table made anew whose figures there are, and the names of those.

    Errors: ``KeyError`` for a mark without a table.
    """
    names: list[str] = []
    apart = {"shown": shown, "untouched": untouched}

    def made(mark: re.Match[str]) -> str:
        name = mark[1]
        table = TABLES[name]([one for one in apart.get(name, counted) if "live" in one])
        if not table:
            return mark[0]
        names.append(name)
        return f"<!-- figures: {name} -->\n{table}\n<!-- end -->"

    return MARK.sub(made, text), names


# ------------------------------------------------------------------------------------ cells


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 2) -> str:
    """In Markdown; '' without rows. The first ``left`` columns are words."""
    body = list(rows)
    if not body:
        return ""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, rule, *body])


def _number(value: float | None, sign: bool = False) -> str:
    if value is None:
        return NONE
    return f"{value:+.4f}" if sign else f"{value:.4f}"


def _within(found: Any, bold: bool = False, sign: bool = False) -> str:
    if not found or found["value"] is None:
        return NONE
    text = _number(found["value"], sign)
    text = f"**{text}**" if bold else text
    if found["low"] is None:
        return text
    return f"{text} ({_number(found['low'], sign)}–{_number(found['high'], sign)})"


def _lines(one: Figures, mode: str, live: bool = True) -> dict[str, Line]:
    """The lines of the systems that have figures, by name."""
    return {line["name"]: line for line in one["live" if live else "frozen"][mode] if not line["failed"]}


def _parts(found: Sequence[Figures]) -> Iterable[tuple[Figures, str]]:
    for one in found:
        for mode in one["live"]:
            yield one, mode


def _best(lines: dict[str, Line], part: str = "ndcg") -> Line | None:
    """The best of those that aren't Palate."""
    others = [line for name, line in lines.items() if name != "palate" and line[part]["value"] is not None]
    return max(others, key=lambda line: line[part]["value"]) if others else None


def _times(ours: Any, theirs: Any) -> str:
    return f"× {ours['value'] / theirs['value']:.2f}" if ours["value"] is not None and theirs["value"] else NONE


# ------------------------------------------------------------------------------------ tables


def _main(found: Sequence[Figures]) -> str:
    head = ["data set", "seen", "random", "popular", "recent popular", "item-kNN", "EASE", "Palate", "the best other"]
    head += ["Palate over it", ""]
    rows: list[list[str]] = []
    for one, mode in _parts(found):
        lines = _lines(one, mode)
        ours, best = lines.get("palate"), _best(lines)
        cells = [_number(lines[name]["ndcg"]["value"]) if name in lines else NONE for name in SIMPLE]
        if ours is None or best is None:
            rows.append([one["data"], mode, *cells, NONE, best["label"] if best else NONE, NONE, NONE])
            continue
        wins = ours["ndcg"]["value"] >= best["ndcg"]["value"]
        rows.append(
            [
                one["data"],
                mode,
                *cells,
                _within(ours["ndcg"], bold=wins),
                f"{best['label']} {_number(best['ndcg']['value'])}",
                _within(best["ahead"], sign=True),
                _times(ours["ndcg"], best["ndcg"]),
            ]
        )
    return _table(head, rows)


def _columns(found: Sequence[Figures], live: bool, left_out: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(name, label) of every system that has figures somewhere, Palate last."""
    seen: dict[str, str] = {}
    for one, mode in _parts(found):
        seen |= {name: line["label"] for name, line in _lines(one, mode, live).items() if name not in left_out}
    ours = [("palate", seen.pop("palate"))] if "palate" in seen else []
    return [*seen.items(), *ours]


def _each(found: Sequence[Figures], part: str, live: bool, left_out: Sequence[str]) -> str:
    """A column for every system; the best of a row is bold."""
    columns = _columns(found, live, left_out)
    rows: list[list[str]] = []
    for one, mode in _parts(found):
        lines = _lines(one, mode, live)
        top = max((line[part]["value"] or 0 for name, line in lines.items() if name not in left_out), default=0)
        rows.append(
            [one["data"], mode]
            + [
                _within(lines[name][part], bold=0 < top == lines[name][part]["value"]) if name in lines else NONE
                for name, _ in columns
            ]
        )
    return _table(["data set", "seen", *(label for _, label in columns)], rows)


def _libraries(found: Sequence[Figures]) -> str:
    left_out = (*SIMPLE, "content_knn")
    return _each(found, "ndcg", True, left_out) if len(_columns(found, True, left_out)) > 1 else ""


def _frozen(found: Sequence[Figures]) -> str:
    return _each(found, "ndcg", False, ("random",))


def _cold(found: Sequence[Figures]) -> str:
    head = ["data set", "seen", "events", "item-kNN", "EASE", "Content-kNN", "the best other", "Palate"]
    head += ["over Content-kNN", ""]
    rows: list[list[str]] = []
    for one, mode in _parts(found):
        lines = _lines(one, mode)
        ours, best, content = lines.get("palate"), _best(lines, "cold"), lines.get("content_knn")
        cells = [_number(lines[name]["cold"]["value"]) if name in lines else NONE for name in ("item_knn", "ease")]
        cells.append(_within(content["cold"]) if content else NONE)
        cells.append(f"{best['label']} {_number(best['cold']['value'])}" if best else NONE)
        if ours is None:
            cells += [NONE, NONE, NONE]
        else:
            wins = best is None or (ours["cold"]["value"] or 0) >= best["cold"]["value"]
            cells.append(_within(ours["cold"], bold=wins))
            cells += (
                [_within(content["cold_ahead"], sign=True), _times(ours["cold"], content["cold"])]
                if content
                else [NONE, NONE]
            )
        rows.append([one["data"], mode, f"{one['counts'][mode]['cold_items']:,}", *cells])
    return _table(head, rows)


def _costs(found: Sequence[Figures]) -> str:
    rows: list[list[str]] = []
    for one in found:
        for line in _lines(one, next(iter(one["live"]))).values():
            if line["name"] not in ("random", "popular", "recent_popular"):
                seconds = [f"{line[part]:,.0f}" for part in ("start_seconds", "test_seconds", "peak_mb")]
                rows.append([one["data"], line["label"], *seconds])
    return _table(["data set", "system", "seconds before", "seconds in", "MB"], rows)


def _shown(found: Sequence[Figures]) -> str:
    return "\n\n".join(part for part in (_main(found), _cold(found)) if part)


def _ablations(found: Sequence[Figures]) -> str:
    """A table for each seen: a row for each variant, a column for each data set."""
    parts: list[str] = []
    for mode in dict.fromkeys(mode for one in found for mode in one.get("ablations", {})):
        with_rows = [one for one in found if one.get("ablations", {}).get(mode)]
        labels: dict[str, str] = {}
        for one in with_rows:
            labels |= {row["name"]: row["label"] for row in one["ablations"][mode]}
        if not labels:
            continue
        rows: list[list[str]] = []
        whole = [_lines(one, mode).get("palate") for one in with_rows]
        if any(whole):
            rows.append(["**the whole**", *(_within(line["ndcg"]) if line else NONE for line in whole)])
        for name, label in labels.items():
            cells: list[str] = []
            for one in with_rows:
                row = next((row for row in one["ablations"][mode] if row["name"] == name), None)
                failed = row is None or row["failed"]
                cells.append(NONE if failed or row is None else _within(row["difference"], sign=True) + _share(row))
            rows.append([label, *cells])
        parts.append(_table([f"`{mode}`", *(one["data"] for one in with_rows)], rows, 1))
    return "\n\n".join(parts)


def _share(row: Figures) -> str:
    return "" if row["share"] is None else f", {row['share']:.0%}"


def _freshness(found: Sequence[Figures]) -> str:
    aged = [one for one in found if "log" in one.get("freshness", {})]
    rows: list[list[str]] = []
    head = ["withheld", "of"]
    for kind, whose in (("log", "everybody"), ("own", "the person")):
        for at, amount in enumerate(
            [row["amount"] for row in next(iter(aged[0]["freshness"][kind].values()))] if aged else []
        ):
            if not amount and kind == "own":
                continue
            cells: list[str] = []
            for one in aged:
                for by_mode in one["freshness"][kind].values():
                    row = by_mode[at]
                    share = "" if row["share"] is None or not amount else f" {row['share'] - 1:+.0%}"
                    cells.append(_within(row["ndcg"]) + share)
            rows.append([_amount(amount), whose if amount else NONE, *cells])
    for one in aged:
        head += [f"{one['data']}, {mode}" for mode in one["freshness"]["log"]]
    return _table(head, rows)


def _amount(amount: int) -> str:
    if amount < 0:
        return "all since training"
    return f"{amount:,} event{'' if amount == 1 else 's'}" if amount else "nothing"


def _cold_start(found: Sequence[Figures]) -> str:
    rows: list[list[str]] = []
    for one in found:
        for row in one.get("cold_start", {}).get("rows", []):
            asked = f"{row['people']:,}" if row["people"] else f"{NONE} {row['note']}".strip()
            told = [_within(row["with_it"]), _number(row["without"]["value"]), _within(row["gain"], sign=True)]
            rows.append([one["data"], row["name"], asked, *told])
    return _table(["data set", "known by", "people", "NDCG@10 with it", "without", "gain"], rows)


def _losses(found: Sequence[Figures]) -> str:
    """Where another system has the better mean, on all events or on cold items, a line each."""
    said: list[str] = []
    for part, ahead, what in (("ndcg", "ahead", ""), ("cold", "cold_ahead", " on cold items")):
        for one, mode in _parts(found):
            lines = _lines(one, mode)
            ours = lines.get("palate")
            if ours is None:
                continue
            for line in lines.values():
                if line["name"] == "palate" or not line[ahead] or (line[ahead]["value"] or 0) >= 0:
                    continue
                sure = line[ahead]["high"] is not None and line[ahead]["high"] < 0
                said.append(
                    f"- {one['data']}, `{mode}`{what}: {line['label']} reads {_number(line[part]['value'])}, Palate "
                    f"{_number(ours[part]['value'])}; {'' if sure else 'perhaps by chance: '}the difference is "
                    f"{_within(line[ahead], sign=True)}."
                )
    if said:
        return "\n".join(said)
    any_palate = any("palate" in _lines(one, mode) for one, mode in _parts(found))
    return "Nowhere in these tables has another system the better mean." if any_palate else ""


def _conditions(found: Sequence[Figures]) -> str:
    """How large the data sets are, and how it was measured."""
    rows: list[list[str]] = []
    for one in found:
        sizes = [f"{one[name]:,}" for name in ("events", "users", "items", "test_window")]
        ranked = ", ".join(f"{one['counts'][mode]['test_events']:,} {mode}" for mode in one["live"])
        rows.append([one["data"], *sizes, ranked, str(one["seeds"]), str(one["trials"])])
    head = ["data set", "events", "people", "items", "in the test window", "of them ranked", "seeds", "trials of peers"]
    return _table(head, rows, 1)


TABLES: dict[str, Callable[[Sequence[Figures]], str]] = {
    "conditions": _conditions,
    "main": _main,
    "libraries": _libraries,
    "frozen": _frozen,
    "cold": _cold,
    "costs": _costs,
    "shown": _shown,
    "untouched": _main,
    "ablations": _ablations,
    "freshness": _freshness,
    "cold_start": _cold_start,
    "losses": _losses,
}
