"""What a play shows: reward, regret, adaptation after the shift, exposure of new items; with intervals over people.

Shares are ratios of sums (the clicks expected of what was shown over those of the best possible), and intervals the
2.5 % and 97.5 % quantiles of the same ratio over people drawn anew with all their visits (Field and Welsh 2007), since
the visits of one person are not independent. With fewer than two people there is no interval.
"""

from __future__ import annotations

import msgspec
import numpy as np

from palate.evaluate.bootstrap import Estimate
from palate.types import F64, I64, Bools
from palate.world.play import Played
from palate.world.settings import DAY_MS

BINS = 20
"""Of the days, in the curves over time."""
EVENTS = 30
"""Events after the shift that the curve of adaptation goes to."""
WINDOW = 5
"""Quality after n events is that of visits after n to n + 4 of them."""
RECOVERED = 0.9
"""Share of the quality before that counts as recovered."""
PROMISED = 10
"""Events after which quality should be back."""
FAIR = 0.9
"""Share of its fair exposure that counts as reached."""
STEPS = (0, 2, 4, 8, 16, 32, 64, 128)
"""Where the bins of chances begin."""


class Curve(msgspec.Struct):
    """Values at ``x`` with 95 % intervals, None where there is nothing; count: visits, or candidates, behind each."""

    x: list[float]
    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    count: list[int]


class Adaptation(msgspec.Struct):
    """How a kind of quality went through the shift, for the people whose tastes changed.

    before: in the second half of the time up to the shift. after: by how many interactions of the person were reported
    since. recovered: events after which it is at ``RECOVERED`` of what it was before, None where it never is within
    ``EVENTS``; recovered_low, recovered_high: its interval over people, None for never.
    """

    before: Estimate
    after: Curve
    recovered: int | None
    recovered_low: int | None
    recovered_high: int | None


class Recovery(msgspec.Struct):
    """A shift beside the same world without it: the same people, visits, candidates and chance, and so the same drift,
    trends and growth of the log.

    ratio: the quality with the shift over that without, of the visits of people whose tastes changed, by how many of
    their interactions were reported since; every: of all these visits; at: of those after ``PROMISED`` to
    ``PROMISED`` + ``WINDOW`` − 1. recovered: events after which it is at ``RECOVERED``, with its interval over people.
    """

    ratio: Curve
    every: Estimate
    at: Estimate
    recovered: int | None
    recovered_low: int | None
    recovered_high: int | None


class Exposure(msgspec.Struct):
    """What new items got of their fair exposure: in proportion to α among the candidates of each ranking (Singh and
    Joachims, "Fairness of Exposure in Rankings", 2018), 1 being fair.

    ratio: over all; best: the same of the best possible ranking, which puts the best first whatever is fair.
    by_chances: by how often the item had been a candidate before. chances: from which on the bin, and all later ones
    together, are at ``FAIR`` or above, None where they never are; impressions: how often items had been shown by then,
    on average, with its interval over people, in which None stands for never.
    """

    ratio: Estimate
    best: float
    by_chances: Curve
    chances: int | None
    impressions: float | None
    impressions_low: float | None = None
    impressions_high: float | None = None


class Measured(msgspec.Struct):
    """A play in numbers. reward, regret: clicks expected a ranking; quality: reward over that of the best; skill: the
    same with what a random slate brings taken from both: 0 is chance, 1 the best. regret_so_far: clicks a person, by
    day; quality_by_day: by day."""

    ranker: str
    visits: int
    people: int
    clicks: int
    purchases: int
    reward: Estimate
    regret: Estimate
    quality: Estimate
    skill: Estimate
    regret_so_far: Curve
    quality_by_day: Curve
    adaptation: Adaptation | None
    adaptation_skill: Adaptation | None
    exposure: Exposure | None


class Ratios:
    """Ratios of sums over visits in bins, for everybody and for people drawn anew."""

    def __init__(self, people: I64, resamples: int = 1000, seed: int = 1) -> None:
        """people: (n,) whose each row is. Cost: ``resamples`` × people numbers, and as much a bin for each curve."""
        _, self._code = np.unique(people, return_inverse=True)
        self._count = int(self._code.max()) + 1 if len(people) else 0
        rng = np.random.default_rng(seed)
        self._weights: F64 = (
            rng.multinomial(self._count, np.full(self._count, 1 / self._count), resamples).astype(np.float64)
            if self._count > 1
            else np.zeros((0, self._count))
        )

    def of(self, above: F64, below: F64 | None, bins: I64, size: int, tails: bool = False) -> tuple[F64, F64]:
        """(size,) ratios of everybody, and (resamples, size); NaN where nothing is below. bins: (n,), −1 for none.
        below: None for the number of people, in each bin with all before it. tails: each bin with all after it."""
        top = self._sums(above, bins, size)
        if tails and below is not None:
            top, bottom = (np.cumsum(one[:, ::-1], axis=1)[:, ::-1] for one in (top, self._sums(below, bins, size)))
        elif below is None:
            top, bottom = np.cumsum(top, axis=1), np.ones_like(top)
        else:
            bottom = self._sums(below, bins, size)
        return _over(top.sum(axis=0), bottom.sum(axis=0)), _over(self._weights @ top, self._weights @ bottom)

    def one(self, above: F64, below: F64, keep: Bools | None = None) -> Estimate:
        """The ratio of the rows ``keep``, all by default."""
        bins = np.zeros(len(above), np.int64) if keep is None else np.where(keep, 0, -1)
        value, drawn = self.of(above, below, bins, 1)
        low, high = _interval(drawn)
        return Estimate(_plain(value[0]), low[0], high[0])

    def curve(self, x: list[float], above: F64, below: F64 | None, bins: I64) -> Curve:
        """The ratios of each bin; see ``of``."""
        value, drawn = self.of(above, below, bins, len(x))
        low, high = _interval(drawn)
        count: list[int] = np.bincount(bins[bins >= 0], minlength=len(x)).tolist()
        return Curve(x, [_plain(one) for one in value.tolist()], low, high, count)

    def _sums(self, values: F64, bins: I64, size: int) -> F64:
        kept = bins >= 0
        flat = np.bincount(self._code[kept] * size + bins[kept], values[kept], self._count * size)
        return flat.astype(np.float64).reshape(self._count, size)


def _over(above: F64, below: F64) -> F64:
    found = np.full(above.shape, np.nan)
    np.divide(above, below, out=found, where=below > 0)
    return found


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _interval(drawn: F64) -> tuple[list[float | None], list[float | None]]:
    """(resamples, size) to the quantiles of each column, None where half of them are empty."""
    empty = [None] * drawn.shape[1]
    if len(drawn) == 0:
        return list(empty), list(empty)
    low: list[float | None] = []
    high: list[float | None] = []
    for column in drawn.T:
        there = column[~np.isnan(column)]
        enough = 2 * len(there) > len(column)
        low.append(float(np.quantile(there, 0.025)) if enough else None)
        high.append(float(np.quantile(there, 0.975)) if enough else None)
    return low, high


def measured(played: Played, resamples: int = 1000, seed: int = 1) -> Measured:
    """All measures of a play. Cost: about ``resamples`` × people × 100 multiplications."""
    one, n = played.settings, len(played.reward)
    ratios = Ratios(played.people, resamples, seed)
    ones = np.ones(n)
    day = (played.times - one.start) / DAY_MS
    bins = np.minimum((day / one.days * BINS).astype(np.int64), BINS - 1)
    last = int(bins.max()) + 1 if n else 0
    x = [round(one.days * (at + 1) / BINS, 6) for at in range(last)]
    lucky = played.at_random
    above, below = played.reward - lucky, played.best - lucky
    return Measured(
        played.ranker, n, len(np.unique(played.people)), int(played.clicks.sum()), played.purchases,
        ratios.one(played.reward, ones), ratios.one(played.regret, ones), ratios.one(played.reward, played.best),
        ratios.one(above, below), ratios.curve(x, played.regret, None, bins),
        ratios.curve(x, played.reward, played.best, bins),
        adaptation(played, ratios, played.reward, played.best), adaptation(played, ratios, above, below),
        exposure(played, resamples, seed),
    )  # fmt: skip


def adaptation(played: Played, ratios: Ratios, above: F64, below: F64) -> Adaptation | None:
    """Of the ratio of ``above`` to ``below``, (n,) each; None where tastes didn't change while it was played."""
    one, changed = played.settings, played.changed
    if one.shift is None or not (changed & (played.heard >= 0)).any():
        return None
    early = changed & (played.heard < 0) & (played.times >= (one.start + one.shift) // 2)
    before, drawn_before = ratios.of(above, below, np.where(early, 0, -1), 1)
    bins = np.where(changed & (played.heard >= 0) & (played.heard < EVENTS), played.heard // 2, -1)
    after = ratios.curve([float(at) for at in range(0, EVENTS, 2)], above, below, bins)
    tops: list[F64] = []
    drawn: list[F64] = []
    for start in range(EVENTS - WINDOW + 1):
        inside = changed & (played.heard >= start) & (played.heard < start + WINDOW)
        value, sample = ratios.of(above, below, np.where(inside, 0, -1), 1)
        tops.append(value)
        drawn.append(sample)
    recovered = _first(np.concatenate(tops)[None, :], before)[0]
    low, high = _interval(drawn_before)
    sampled = _first(np.concatenate(drawn, axis=1), drawn_before[:, 0]) if len(drawn_before) else np.zeros(0)
    found = _ends(sampled, float(recovered))
    return Adaptation(Estimate(_plain(before[0]), low[0], high[0]), after, *found)


def recovery(shifted: Played, same: Played, skill: bool = False, resamples: int = 1000, seed: int = 1) -> Recovery:
    """Of two plays, visit by visit. same: in the world whose ``shift_day`` alone is never. skill: of clicks beyond
    those of chance, instead of all. Errors: ``ValueError`` where the visits aren't the same."""
    if not np.array_equal(shifted.times, same.times) or not np.array_equal(shifted.people, same.people):
        raise ValueError("The two plays are of other visits: only shift_day may differ between their worlds.")
    ratios = Ratios(shifted.people, resamples, seed)
    heard = np.where(shifted.changed, shifted.heard, -1)
    plays: list[tuple[F64, F64]] = []
    for played in (shifted, same):
        chance = played.at_random if skill else 0.0
        plays.append((played.reward - chance, played.best - chance))

    def of(bins: I64, size: int) -> tuple[F64, F64]:
        (value, drawn), (usual, drawn_usual) = (ratios.of(above, below, bins, size) for above, below in plays)
        return value / usual, drawn / drawn_usual

    def one(keep: Bools) -> Estimate:
        value, drawn = of(np.where(keep, 0, -1), 1)
        low, high = _interval(drawn)
        return Estimate(_plain(value[0]), low[0], high[0])

    bins = np.where((heard >= 0) & (heard < EVENTS), heard // 2, -1)
    value, drawn = of(bins, EVENTS // 2)
    low, high = _interval(drawn)
    count: list[int] = np.bincount(bins[bins >= 0], minlength=EVENTS // 2).tolist()
    curve = Curve([float(at) for at in range(0, EVENTS, 2)], [_plain(v) for v in value.tolist()], low, high, count)
    windows = [
        of(np.where((heard >= start) & (heard < start + WINDOW), 0, -1), 1) for start in range(EVENTS - WINDOW + 1)
    ]
    recovered = _first(np.concatenate([value for value, _ in windows])[None, :], np.ones(1))[0]
    found = _ends(_first(np.concatenate([drawn for _, drawn in windows], axis=1), np.ones(resamples)), recovered)
    at = one((heard >= PROMISED) & (heard < PROMISED + WINDOW))
    return Recovery(curve, one(heard >= 0), at, *found)


def _ends(drawn: F64, value: float) -> list[int | None]:
    """Value and the 2.5 % and 97.5 % quantiles of counts, of which ∞ are None."""
    drawn = np.sort(drawn)
    ends = [float(drawn[round(q * (len(drawn) - 1))]) if len(drawn) else np.inf for q in (0.025, 0.975)]
    return [None if np.isinf(each) else int(each) for each in (float(value), *ends)]


def _first(quality: F64, before: F64, share: float = RECOVERED) -> F64:
    """(r, e) qualities by events, (r,) before: the first event at which it is at ``share`` of that, ∞ for never."""
    there = quality >= share * before[:, None]
    found = there.argmax(axis=1).astype(np.float64)
    found[~there.any(axis=1)] = np.inf
    return found


def exposure(played: Played, resamples: int = 1000, seed: int = 1) -> Exposure | None:
    """What new items got; None where there were none."""
    if not len(played.given):
        return None
    ratios = Ratios(played.whose, resamples, seed)
    bins = np.searchsorted(STEPS, played.chance, "right") - 1
    x = [float(step) for step in STEPS[: int(bins.max()) + 1]]
    curve = ratios.curve(x, played.given, played.due, bins)
    (one, all_drawn), (later, later_drawn) = (
        ratios.of(played.given, played.due, bins, len(x), tails) for tails in (False, True)
    )
    reached = _first(np.minimum(one, later)[None, :], np.ones(1), FAIR)
    drawn = _first(np.minimum(all_drawn, later_drawn), np.ones(len(all_drawn)), FAIR)
    inside = [played.shown_before[bins == at] for at in range(len(x))]
    shown = [float(each.mean()) if len(each) else np.inf for each in inside]
    at = None if np.isinf(reached[0]) else int(reached[0])
    ends = np.sort([np.inf if np.isinf(each) else shown[int(each)] for each in drawn.tolist()])
    low, high = (float(ends[round(q * (len(ends) - 1))]) if len(ends) else np.inf for q in (0.025, 0.975))
    return Exposure(
        ratios.one(played.given, played.due),
        _share(played.fresh_best, played.fair),
        curve,
        None if at is None else STEPS[at],
        None if at is None else shown[at],
        None if np.isinf(low) else low,
        None if np.isinf(high) else high,
    )


def _share(given: F64, due: F64) -> float:
    return float(given.sum() / due.sum())
