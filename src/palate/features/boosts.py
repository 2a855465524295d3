"""Softer wishes as tags and texts with signs: what ``company`` adds to what somebody asked for."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from palate import wishes
from palate.types import F32, I32, FieldValue

SAID = 2.0
"""What a wish weighs beside one of ``likes`` that hasn't faded: it was said about now."""
_ALIKE = 0.3
"""What a tag of an item weighs that was named as a whole."""


class Said(Protocol):
    """``company.Asked``."""

    codes: I32
    texts: F32
    words: list[str]


class Boosts(NamedTuple):
    """Of one person. words: (text, sign) of what is wanted more or less; items: (id, sign)."""

    words: list[tuple[str, float]]
    items: list[tuple[str, float]]


def boosts_of(value: FieldValue | None) -> Boosts:
    """The softer wishes of a ``wishes`` field."""
    found = wishes.read(value)[0] if value else []
    words = [(one.more or one.less, 1.0 if one.more else -1.0) for one in found if one.more or one.less]
    items = [(one.like or one.unlike, 1.0 if one.like else -1.0) for one in found if one.like or one.unlike]
    return Boosts(words, items)


def item_tags(row: int, tags: I32) -> list[int]:
    """Tag codes of an item."""
    return [code for code in tags[row].tolist() if code >= 0] if 0 <= row < len(tags) else []


class Signed:
    """Collects tags and texts with weights, for one ``Asked``."""

    def __init__(self, codes: I32, code_worth: F32, texts: F32, text_worth: F32) -> None:
        self.codes: dict[int, float] = dict(zip(codes.tolist(), code_worth.tolist(), strict=True))
        self.texts: list[tuple[F32, float]] = list(zip(texts, text_worth.tolist(), strict=True))

    def tag(self, code: int, weight: float) -> None:
        """The later word counts where two are about one tag."""
        self.codes[code] = weight

    def item(self, row: int, sign: float, vectors: F32, text_of: I32, tags: I32) -> None:
        """An item stands for its text, and a little for its tags."""
        if 0 <= row < len(text_of) and text_of[row] >= 0:
            self.texts.append((vectors[text_of[row]], sign * SAID))
        for code in item_tags(row, tags):
            self.codes.setdefault(code, sign * SAID * _ALIKE)

    def words(self, said: Said, sign: float) -> list[str]:
        """Words that are tags here count as these, and half as texts; others as texts. Returns the wanted ones."""
        for code in said.codes.tolist():
            self.tag(code, sign * SAID)
        if not len(said.codes) or sign > 0:
            self.texts += [(row, sign * SAID * (0.5 if len(said.codes) else 1.0)) for row in said.texts]
        return said.words if sign > 0 else []

    @property
    def wants(self) -> bool:
        """Whether anything is wanted more, rather than less."""
        return any(weight > 0 for weight in self.codes.values()) or any(weight > 0 for _, weight in self.texts)

    def arrays(self) -> dict[str, Any]:
        """codes (c,), their weights, texts, unit rows (q, d), and theirs."""
        rows = [row for row, _ in self.texts]
        return {
            "codes": np.array(list(self.codes), np.int32),
            "code_worth": np.array(list(self.codes.values()), np.float32),
            "texts": np.stack(rows).astype(np.float32) if rows else np.zeros((0, 0), np.float32),
            "text_worth": np.array([weight for _, weight in self.texts], np.float32),
        }
