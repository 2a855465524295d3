"""A bounded search for settings of training, on the validation window: what ``palate tune`` does.

The history is replayed once and its examples serve every trial (with ``replays``, once for each choice that changes
them). Trials are proposed by TPE (Bergstra 2011) through Optuna, trial n from seed and n and the trials before it
alone, so that a search that was interrupted goes on as if it hadn't been: every finished trial is a line of a journal.

The validation decisions are halved. One half chooses: early stopping, the best candidate of a trial, the best trial.
The other is asked once, in the end, by how much the chosen settings beat those that were there: the maximum over
many trials is too good to be true on the half that chose it. Where the gain there isn't above 0, nothing is proposed.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from palate.config import Settings
from palate.errors import InvalidInput, MissingExtra
from palate.features import NAMES
from palate.language.cache import VectorCache
from palate.store import Store
from palate.store.decision import Decision
from palate.train.examples import Examples
from palate.train.fit import Compared, compare, thinned
from palate.train.history import History, Progress, read_history
from palate.train.journal import Journal, Trial, fingerprint
from palate.train.judge import gains, margin
from palate.train.prepare import Prepared, prepare
from palate.train.replay import choose_window
from palate.train.tiers import CHEAP, planned
from palate.types import F64, Margin

MINIMUM = 40
"""Validation decisions below which a search would choose by noise."""
_STARTUP = 8
"""Trials drawn at random before TPE has something to model."""
_HELD = 2
"""Replays whose examples are kept in memory."""
_HALF_LIVES: tuple[tuple[float, ...], ...] = ((0.5, 3.0, 14.0), (1.0, 7.0, 30.0), (3.0, 14.0, 90.0))

Value = float | int | list[float]


class Tuned(msgspec.Struct):
    """What a search found.

    settings: what to change, by full name; empty where nothing is better than what is there. before, after: NDCG@10 of
    the present settings and of the best trial on the half that chose; gain: of the other half, paired, with its
    interval. trials: how many there are, ``resumed`` of them from an earlier run. stopped: ``trials`` or ``minutes``.
    """

    settings: dict[str, Value]
    before: float
    after: float
    gain: Margin
    trials: int
    resumed: int
    stopped: str
    seconds: float


class Tuner:
    """One search. ``ask`` and ``score`` are apart so that a trial is a function of its number and those before it."""

    def __init__(
        self, history: History, settings: Settings, cache: VectorCache, live: list[Decision], replays: bool, seed: int
    ) -> None:
        self.settings = settings
        self.seed = seed
        self._history, self._cache, self._live = history, cache, live
        self._valid = choose_window(history, settings).valid
        self._replayed: OrderedDict[tuple[Any, ...], tuple[Prepared, dict[int, Compared]]] = OrderedDict()
        self._space = space(settings, replays)

    @property
    def names(self) -> list[str]:
        """Full names of the settings that are searched."""
        return list(self._space)

    def base(self) -> dict[str, Any]:
        """The settings that are there, as a trial."""
        return {name: _plain(_get(self.settings, name)) for name in self._space}

    def ask(self, trials: list[Trial]) -> dict[str, Any]:
        """The parameters of the next trial; the first is what is there."""
        if not trials:
            return self.base()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=self.seed * 100_003 + len(trials), n_startup_trials=_STARTUP)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for trial in trials:
            made = optuna.trial.create_trial(
                params={name: _key(value) for name, value in trial.params.items()},
                distributions=self._space,
                value=trial.value,
            )
            study.add_trial(made)
        return {name: _unkey(value) for name, value in study.ask(self._space).params.items()}

    def score(self, params: dict[str, Any], progress: Progress | None = None) -> tuple[float, F64]:
        """NDCG@10 on the half that chooses, and (g,) gains of every decision of the other half."""
        settings = _with(self.settings, params)
        prepared, known = self._prepared(settings, progress)
        names = NAMES + prepared.context
        train = settings.train
        choosing, asked = halves(prepared.valid)
        fresh = _fewer(prepared.fresh, train.candidates, train.seed)
        found = compare(fresh, choosing, names, train, known=known.get(train.candidates), cold=prepared.cold)
        known.setdefault(train.candidates, found)
        return found.metrics[found.best], gains(found.scorers[found.best], asked)

    def _prepared(self, settings: Settings, progress: Progress | None) -> tuple[Prepared, dict[int, Compared]]:
        train, state = settings.train, settings.state
        key = (train.window_share, tuple(state.half_lives))
        if key in self._replayed:
            self._replayed.move_to_end(key)
            return self._replayed[key]
        # Candidates are thinned here once, as far as any trial needs them, and further in each.
        whole = _with(settings, {"train.candidates": self.settings.train.candidates})
        window = choose_window(self._history, whole, self._valid)
        prepared = prepare(self._history, whole, self._cache, self._live, None, progress, window=window)
        made = self._replayed[key] = prepared, dict[int, Compared]()
        while len(self._replayed) > _HELD:
            self._replayed.popitem(last=False)
        return made


def tune(
    store: Store,
    settings: Settings,
    cache: VectorCache,
    live: Iterable[Decision] = (),
    directory: Path | None = None,
    trials: int = 40,
    minutes: float | None = None,
    replays: bool = False,
    seed: int = 1,
    progress: Progress | None = None,
    dead: Iterable[int] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Search for settings of training that rank better than ``settings``; nothing is changed.

    directory: of the journal, None: none is kept. trials: in all, those of an earlier run counted. minutes: after which
    no further trial begins. replays: also settings for which the history must be replayed anew. The other arguments
    are ``run.train``'s. Cost: one replay, and the fit of a training each trial.
    Errors: ``MissingExtra`` without Optuna; ``InvalidInput`` where there is too little to judge by.
    """
    try:
        import optuna  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise MissingExtra("optuna", "tune", "Tuning") from None
    begun = clock()
    settings = planned(settings)
    history = read_history(store, settings, progress, dead)
    if not len(history.interactions):
        raise InvalidInput("There are no interactions to tune by: ingest events first.")
    tuner = Tuner(history, settings, cache, list(live), replays, seed)
    base, other = tuner.score(tuner.base(), progress)  # also the replay, which says whether there is enough
    if 2 * len(other) < MINIMUM:
        raise InvalidInput(
            f"There are {2 * len(other)} validation decisions to tune by, and at least {MINIMUM} are needed: "
            "ingest more events, or raise train.window_share."
        )
    say = progress or _silent
    mark = fingerprint(settings, history.seq, tuner.names, seed)
    with Journal(directory, mark) as journal:
        done, resumed = journal.trials, len(journal.trials)
        if not done:
            journal.add(Trial(tuner.base(), base, other.tolist()))
        stopped = "trials"
        say("tune", len(done), trials)
        while len(done) < trials:
            if minutes is not None and clock() - begun >= 60 * minutes:
                stopped = "minutes"
                break
            params = tuner.ask(done)
            same = next((trial for trial in done if trial.params == params), None)
            value, held = (same.value, same.held) if same else _scored(tuner, params)
            journal.add(Trial(params, value, held))
            say("tune", len(done), trials)
        say("tune", len(done), len(done))
        return _found(tuner, done, resumed, stopped, round(clock() - begun, 1))


def _scored(tuner: Tuner, params: dict[str, Any]) -> tuple[float, list[float]]:
    value, held = tuner.score(params)
    return value, held.tolist()


def _found(tuner: Tuner, done: list[Trial], resumed: int, stopped: str, seconds: float) -> Tuned:
    best = max(done, key=lambda trial: trial.value)  # the earliest of equals, the present settings before all
    gain = margin(np.array(best.held), np.array(done[0].held), seed=tuner.seed)
    changed = {name: value for name, value in best.params.items() if value != done[0].params[name]}
    if gain.value <= 0:
        changed = {}
    return Tuned(changed, done[0].value, best.value, gain, len(done), resumed, stopped, seconds)


def halves(valid: Examples) -> tuple[Examples, Examples]:
    """The validation decisions by turns: those that choose, and those that are asked in the end."""
    return valid.taken(range(0, len(valid), 2)), valid.taken(range(1, len(valid), 2))


def space(settings: Settings, replays: bool) -> dict[str, Any]:
    """Optuna's distributions by full name of the setting; each holds what is there, and stays within the tier."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    train = settings.train
    trees = CHEAP["trees"] if train.tier == "cheap" else max(600, train.trees)
    found: dict[str, Any] = {
        "train.learning_rate": FloatDistribution(min(0.01, train.learning_rate), max(0.3, train.learning_rate), True),
        "train.leaves": IntDistribution(min(4, train.leaves), max(63, train.leaves), True),
        "train.trees": IntDistribution(min(50, train.trees), trees, True),
        "train.candidates": IntDistribution(min(20, train.candidates), train.candidates),
    }
    if replays:
        shares = sorted({0.1, 0.2, 0.4, train.window_share})
        lives = sorted({*_HALF_LIVES, tuple(settings.state.half_lives)})
        found["train.window_share"] = CategoricalDistribution(shares)
        found["state.half_lives"] = CategoricalDistribution([_key(one) for one in lives])
    return found


def _key(value: Any) -> Any:
    """A list as Optuna's categories can hold it."""
    several = isinstance(value, list | tuple)
    return " ".join(map(repr, value)) if several else value  # pyright: ignore[reportUnknownArgumentType]


def _unkey(value: Any) -> Any:
    if isinstance(value, str):
        return [float(part) for part in value.split()]
    # Six digits are more than validation can tell apart, and are the same in palate.toml.
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore


def _get(settings: Settings, name: str) -> Any:
    section, _, key = name.partition(".")
    return getattr(getattr(settings, section), key)


def _with(settings: Settings, params: dict[str, Any]) -> Settings:
    for name, value in params.items():
        section, _, key = name.partition(".")
        fitting: Any = tuple(cast("list[float]", value)) if isinstance(value, list) else value
        part = msgspec.structs.replace(getattr(settings, section), **{key: fitting})
        settings = msgspec.structs.replace(settings, **{section: part})
    return settings


def _fewer(examples: Examples, candidates: int, seed: int) -> Examples:

    return examples if all(len(x) <= candidates + 1 for x in examples.x) else thinned(examples, candidates, seed)


def _silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody watches."""
