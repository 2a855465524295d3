"""Fitting the blend: every learner on the earlier decisions, judged on the later ones; the best of them ships.

The prior and the best single feature always take part: training never ships something worse than no training, nor a
blend that its best part beats. What is tried beside them is ``train.ranker``'s choice (``auto``: the linear model,
LambdaMART, and their sum in three shares; or one back end of scikit-learn, ``rankers``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from palate.config import TrainSettings
from palate.features import NAMES, PRIOR
from palate.score import Scorer
from palate.score.blend import BlendScorer
from palate.score.linear import LinearScorer
from palate.train.examination import examination, no_bias
from palate.train.examples import Examples
from palate.train.history import Progress
from palate.train.judge import gains, judge, margin
from palate.train.learners import best_single, fit_linear, fit_trees
from palate.train.novel import novel
from palate.train.rankers import BACK_ENDS, fit_ranker
from palate.types import F32, F64, I64, Margin

__all__ = ["Compared", "Fitted", "compare", "fit", "fit_linear", "fit_trees", "judge"]

SHARES = (0.25, 0.5, 1.0)
"""Weights of the linear part that a blend is tried with."""
_ENOUGH = 20
"""Groups below which nothing is fitted, or judged for trees."""


@dataclass(slots=True)
class Compared:
    """Candidates by name, in order of preference where they tie: scorers, NDCG@10, (g,) gains of every decision judged.

    single: the best single feature, ``-`` before one that ranks downwards, '' where none was judged. trees: how many
    boosting stopped at. examination: of positions, as ``examination.examination``.
    """

    scorers: dict[str, Scorer]
    metrics: dict[str, float]
    gains: dict[str, F64]
    single: str
    trees: int
    examination: F64

    @property
    def best(self) -> str:
        order = list(self.scorers)
        return max(order, key=lambda name: (self.metrics[name], -order.index(name)))


@dataclass(slots=True)
class Fitted:
    """The winner, its kind, the validation NDCG@10 of every candidate, and the winner's.

    name: of the winner among the candidates. margins: by how much it wins over the best of each other family.
    compared: all of them, None where nothing was.
    """

    scorer: Scorer
    kind: str
    metrics: dict[str, float]
    best: float
    name: str = "prior"
    single: str = ""
    margins: dict[str, Margin] = field(default_factory=dict[str, Margin])
    examination: F64 = field(default_factory=no_bias)
    compared: Compared | None = None


def compare(
    train: Examples,
    valid: Examples,
    names: tuple[str, ...],
    settings: TrainSettings,
    step: Callable[[], None] | None = None,
    known: Compared | None = None,
    cold: Examples | None = None,
) -> Compared:
    """Fit every candidate on ``train`` and judge it on ``valid``. step: called after each part of the work.

    known: of the same examples, whose linear model, single feature and examination are taken as they are.
    cold: decisions among cold items, from which trees learn as well.
    """
    took = step or _nothing
    prior: Scorer = LinearScorer(names, np.concatenate([PRIOR, np.zeros(len(names) - len(NAMES))]))
    found = Compared({"prior": prior}, {}, {}, "", 0, no_bias())
    if len(valid) >= _ENOUGH:
        single = (known.scorers["single"], known.single) if known else best_single(valid, names)
        found.scorers["single"], found.single = single
    if len(train) >= _ENOUGH:
        found.examination = known.examination if known else examination(train)
        wanted = settings.ranker
        offset = _offset(train, found.examination)
        enough = len(train) >= 100 and len(valid) >= _ENOUGH
        if wanted in BACK_ENDS:
            found.scorers[wanted] = fit_ranker(wanted, train, names, settings, found.examination)
            took()
        else:
            linear = None
            if wanted in ("auto", "linear", "blend"):
                linear = _known_line(known) or fit_linear(train, names, offset)
                found.scorers["linear"] = linear
            took()
            if wanted != "linear" and enough:
                thin = thinned(valid, settings.candidates, settings.seed)
                more = _with_novel(train, settings).joined(cold or Examples())
                offset = _offset(more, found.examination)
                trees, found.trees = fit_trees(more, thin, names, settings, settings.trees, offset)
                found.scorers["trees"] = trees
                if linear is not None:
                    for share in SHARES:
                        found.scorers[f"blend_{share:g}"] = BlendScorer(linear, trees, share)
    took()
    kept: dict[int, F64] = {}
    found.gains = {name: gains(scorer, valid, kept) for name, scorer in found.scorers.items()}
    count = len(valid) + valid.missed
    found.metrics = {name: float(gain.sum()) / count if count else 0.0 for name, gain in found.gains.items()}
    took()
    return found


def fit(
    train: Examples,
    valid: Examples,
    context: tuple[str, ...],
    settings: TrainSettings,
    progress: Progress | None = None,
    late: Examples | None = None,
    cold: tuple[Examples, Examples] | None = None,
) -> Fitted:
    """Fit all on ``train``, compare on ``valid``, refit the winner on both and on ``late``.

    late: examples of the validation window that may not be judged on; they only join the refit. cold: decisions among
    cold items, before that window and in it, from which trees learn as well.
    Errors: ``MissingExtra`` where ``train.ranker`` wants scikit-learn and it isn't there.
    """
    names = NAMES + context
    say = progress or _silent
    done = iter(range(4))
    say("fit", 0, 4)
    next(done)
    among = cold or (Examples(), Examples())
    found = compare(train, valid, names, settings, lambda: say("fit", min(3, next(done, 3)), 4), cold=among[0])
    best = found.best
    scorer = found.scorers[best]
    if best not in ("prior", "single"):
        scorer = _refitted(
            best, train.joined(late or Examples(), valid), names, settings, found, among[0].joined(among[1])
        )
    say("fit", 4, 4)
    return Fitted(
        scorer,
        best if best in ("prior", "single", *BACK_ENDS) else scorer.kind,
        found.metrics,
        found.metrics[best],
        best,
        found.single,
        margins(found, valid.missed, settings.seed),
        found.examination,
        found,
    )


def fit_again(
    fitted: Fitted, both: Examples, names: tuple[str, ...], settings: TrainSettings, cold: Examples
) -> Scorer:
    """The winner anew on ``both``, which hold what it was fitted on and more; what was chosen stays: shares, trees."""
    if fitted.compared is None or fitted.name in ("prior", "single"):
        return fitted.scorer
    return _refitted(fitted.name, both, names, settings, fitted.compared, cold)


def _refitted(
    best: str, both: Examples, names: tuple[str, ...], settings: TrainSettings, found: Compared, cold: Examples
) -> Scorer:
    """The winner anew, on everything."""
    thin = thinned(both, settings.candidates, settings.seed)
    if best in BACK_ENDS:
        return fit_ranker(best, thin, names, settings, found.examination)
    more = _with_novel(thin, settings).joined(cold)
    offset = _offset(more, found.examination)
    if best == "trees":
        return fit_trees(more, None, names, settings, max(10, found.trees), offset)[0]
    linear = fit_linear(thin, names, _offset(thin, found.examination))
    if best == "linear":
        return linear
    trees, _ = fit_trees(more, None, names, settings, max(10, found.trees), offset)
    return BlendScorer(linear, trees, float(best.removeprefix("blend_")))


def _with_novel(examples: Examples, settings: TrainSettings) -> Examples:
    """What trees learn from: a line can't tell what a new item lacks from what is low."""
    return examples.joined(novel(examples, settings.seed))


def margins(found: Compared, missed: int, seed: int) -> dict[str, Margin]:
    """By how much the winner beats each other family of candidates: of blends, the best one."""
    best = found.best
    families: dict[str, str] = {}
    for name in found.scorers:
        family = name.partition("_")[0]
        if family not in families or found.metrics[name] > found.metrics[families[family]]:
            families[family] = name
    return {
        family: margin(found.gains[best], found.gains[name], missed, seed)
        for family, name in families.items()
        if family != best.partition("_")[0]
    }


def _known_line(known: Compared | None) -> LinearScorer | None:
    found = known.scorers.get("linear") if known else None
    return found if isinstance(found, LinearScorer) else None


def _offset(examples: Examples, examined: F64) -> F64 | None:
    """What the learners take of positions; None where no position is told apart."""
    return examples.offsets(examined) if len(examined) > 1 else None


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _nothing() -> None:
    """A step that nobody watches."""


def thinned(examples: Examples, candidates: int, seed: int) -> Examples:
    """Groups cut to about so many ``candidates``, drawn evenly, the chosen ones kept."""
    out = Examples()
    rng = np.random.default_rng(seed)
    for n, (x, chosen) in enumerate(zip(examples.x, examples.chosen, strict=True)):
        if len(x) <= candidates:
            keep: I64 = np.arange(len(x))
        else:
            keep = np.union1d(rng.permutation(len(x))[:candidates], chosen)
        rows: F32 = x[keep]
        placed = examples.placed(n)
        out.x.append(rows)
        out.chosen.append(np.searchsorted(keep, chosen).astype(np.int64))
        out.positions.append(None if placed is None else placed[keep])
        out.weights.append(examples.weight(n))
    return out
