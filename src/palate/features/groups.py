"""Groups of tastes that training found among people, and to which of them a history of a few events belongs.

Pseudo-labels: whoever has done little is taken for a member of the group that explains it best, where one explains it
well enough, and is given what its people choose more than others, at a reduced weight. Semi-supervised in the old sense
(cluster, then label): the groups come from people with a history, the labels go to those nearly without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from palate.errors import CorruptArtefact
from palate.profile import Subject
from palate.types import F32, F64, I32, I64

MOST = 5
"""Liked entries up to which somebody is nearly unknown."""
SURE = 0.5
"""Probability of a group from which it is believed."""


class Groups(NamedTuple):
    """Of tastes, mean differences to everybody. centres: (g, k) in the space of ``axes``; tags: (g, t), of
    ``tag_names``; texts: (g, d); prior: (g,) shares of people; spread: mean squared distance to a centre, a coordinate;
    noise: what one event adds to it.

    A person's coordinates are ``axes`` (k, t + d) applied to their tag shares and mean text less ``mean`` (t + d,).
    """

    centres: F64
    tags: F32
    texts: F32
    prior: F64
    axes: F64
    mean: F64
    spread: float
    noise: float
    tag_names: tuple[str, ...]

    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Everything numeric, for the artefact; nothing where there are no groups."""
        names = ("centres", "tags", "texts", "prior", "axes", "mean")
        out: dict[str, np.ndarray[Any, Any]] = {name: np.asarray(getattr(self, name)) for name in names}
        return out | {"spread": np.array([self.spread, self.noise])} if len(self.centres) else {}

    @classmethod
    def load(cls, arrays: Mapping[str, np.ndarray[Any, Any]], tag_names: Sequence[str]) -> Groups:
        """The inverse of ``arrays``. Errors: ``CorruptArtefact`` where they don't fit together."""
        if not arrays:
            return NO_GROUPS
        try:
            centres, tags, texts = arrays["centres"], arrays["tags"], arrays["texts"]
            prior, axes, mean = arrays["prior"], arrays["axes"], arrays["mean"]
            g, t, d = len(centres), tags.shape[1], texts.shape[1]
            shapes = centres.shape[1] == len(axes) and len(tags) == len(texts) == len(prior) == g
            if not (shapes and axes.shape[1] == len(mean) == t + d and t == len(tag_names)):
                raise CorruptArtefact("The groups of tastes don't fit together: train again.")
            spread, noise = arrays["spread"].tolist()
            return cls(centres, tags, texts, prior, axes, mean, spread, noise, tuple(tag_names))
        except (KeyError, IndexError, ValueError) as error:
            raise CorruptArtefact(f"The groups of tastes can't be read ({error}): train again.") from None

    def bind(self, names: Sequence[str]) -> Bound:
        """For a catalogue whose tag codes are called ``names``."""
        return Bound(self, names)


NO_GROUPS = Groups(
    np.zeros((0, 0)), np.zeros((0, 0), np.float32), np.zeros((0, 0), np.float32), np.zeros(0), np.zeros((0, 0)),
    np.zeros(0), 1.0, 1.0, (),
)  # fmt: skip


def posterior(groups: Groups, point: F64, events: int) -> F64:
    """(g,) p(group | a mean over ``events`` events at ``point`` (k,)): normal around each centre, of variance
    spread + noise / events a coordinate, times the group's share of people."""
    variance = groups.spread + groups.noise / max(1, events)
    distance = ((groups.centres - point) ** 2).sum(axis=1)
    log = np.log(groups.prior) - distance / (2 * variance)
    odds = np.exp(log - log.max())
    return odds / odds.sum()


class Bound:
    """Groups over one catalogue's tag codes."""

    def __init__(self, groups: Groups, names: Sequence[str]) -> None:
        self.groups = groups
        self._n = len(names)
        known = {name: code for code, name in enumerate(names)}
        self._code: I64 = np.array([known.get(name, -1) for name in groups.tag_names], np.int64)
        there = self._code >= 0
        self._tags = np.zeros((len(groups.centres), len(names)), np.float32)
        self._tags[:, self._code[there]] = groups.tags[:, there]

    def fits(self, names: Sequence[str]) -> bool:
        """Whether there are no more tags than when it was bound."""
        return self._n == len(names)

    def of(self, subject: Subject, vectors: F32, text_of: I32) -> tuple[float, F32, F32] | None:
        """Probability, tag differences (n_tags,) and text difference (d,) of the group that somebody with at most
        ``MOST`` liked entries belongs to; None where none is ``SURE``. Cost: about 30 µs."""
        liked = subject.items[subject.weights > 0]
        if not 1 <= len(liked) <= MOST:
            return None
        groups = self.groups
        shares = np.zeros(len(groups.tag_names))
        if len(subject.tags_long):
            there = (self._code >= 0) & (self._code < len(subject.tags_long))
            shares[there] = subject.tags_long[self._code[there]]
        texts = text_of[liked]
        texts = texts[texts >= 0]
        if len(texts) and vectors.shape[1] == groups.texts.shape[1]:
            text = vectors[texts].mean(axis=0).astype(np.float64)
        else:
            text = groups.mean[len(shares) :]
        point = groups.axes @ (np.concatenate([shares, text]) - groups.mean)
        odds = posterior(groups, point, len(liked))
        best = int(odds.argmax())
        if odds[best] < SURE:
            return None
        return float(odds[best]), self._tags[best], groups.texts[best]
