"""The documents as data: headings, code blocks with their marks, links, tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

_BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^>]*) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.M | re.S)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.*)$", re.M)


@dataclass(frozen=True)
class Block:
    """A code block. ``mark`` is the comment right above it: ``run: NAME`` or ``shown: why it isn't run``."""

    language: str
    code: str
    mark: str

    @property
    def name(self) -> str:
        """What the tests run it as, '' where they don't."""
        return self.mark.removeprefix("run: ") if self.mark.startswith("run: ") else ""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[Block]:
    return [Block(m["language"], m["code"], m["mark"] or "") for m in _BLOCK.finditer(text_of(page))]


def prose(page: Path) -> str:
    """The text without its code blocks."""
    return _BLOCK.sub("", text_of(page))


def headings(page: Path) -> list[tuple[int, str]]:
    return [(len(m[1]), m[2]) for m in _HEADING.finditer(prose(page))]


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def section(page: Path, heading: int) -> str:
    """The text below the ``heading``-th second-level heading, up to the next."""
    return re.split(r"^## .*$", prose(page), flags=re.M)[heading + 1]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, heads and rules left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if not line.startswith("|---") and not after.startswith("|---")
    ]


def anchor(heading: str) -> str:
    """The name by which a heading is linked to."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
