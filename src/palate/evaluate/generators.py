"""What a generator costs and is worth here, measured in a process of its own; and what it is recommended for.

Asked are its uses in the product: to say an utterance again more plainly, a sentence about an item, an order of ten
candidates of which somebody took one (the questions of ``probe``, so that an encoder's answers to the same ones stand
beside). A generator that isn't here is told of by its known properties alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from palate.evaluate.bootstrap import Estimate, paired
from palate.evaluate.child import told_by
from palate.evaluate.choosing import Need, Recommendation
from palate.evaluate.generator_probe import Listed
from palate.evaluate.measure import FEWEST, Measured
from palate.evaluate.probe import Probe, estimate
from palate.language.known import MODELS, Known
from palate.language.rerank import Described
from palate.settings import GeneratorSettings
from palate.types import F64

Progress = Callable[[str, int, int], None]
_VALID = 0.9
"""Share of answers that must be JSON of the schema for a generator to be recommended for anything."""
_LOOP_INTERACTIONS = 1000
_FILE = "measured-generators.json"


class AskedOf(msgspec.Struct):
    """What the child is told. lines: names and tags; seconds: for all questions together."""

    settings: GeneratorSettings
    lines: list[tuple[str, list[str]]]
    texts: list[str]
    questions: list[Listed]
    seconds: float


class ToldOf(msgspec.Struct):
    """A line of the child's: how far it is, and in the end (``name`` is set) what it measured."""

    done: int = 0
    total: int = 0
    name: str = ""
    load_seconds: float = 0.0
    memory_mb: float = 0.0
    asked: int = 0
    valid: int = 0
    read_rate: float | None = None
    write_rate: float | None = None
    chat_ms: float | None = None
    chat_asked: int = 0
    chat_right: int = 0
    text_ms: float | None = None
    order_ms: float | None = None
    auc: list[float | None] = []
    hit: list[float | None] = []


class MeasuredGenerator(msgspec.Struct):
    """generator: as it is called; name: model and place. read_rate, write_rate: tokens a second, in and out; None where
    the server doesn't count. chat_ms, text_ms, order_ms: medians of a question of a conversation, of a sentence about
    an item, of an order. asked, valid: questions, and those answered with JSON of the schema in time. chat_asked,
    chat_right: utterances. auc, hit: of ``questions`` lists of ten; values: of each, to stand beside an encoder's."""

    generator: str
    name: str = ""
    load_seconds: float = 0.0
    memory_mb: float = 0.0
    read_rate: float | None = None
    write_rate: float | None = None
    chat_ms: float | None = None
    text_ms: float | None = None
    order_ms: float | None = None
    asked: int = 0
    valid: int = 0
    chat_asked: int = 0
    chat_right: int = 0
    questions: int = 0
    auc: Estimate = Estimate(None)
    hit: Estimate = Estimate(None)
    values: dict[str, list[float | None]] = {}
    error: str = ""


def measure_generator(
    called: str,
    settings: GeneratorSettings,
    probe: Probe,
    lines: Sequence[Described],
    seconds: float = 60.0,
    progress: Progress | None = None,
) -> MeasuredGenerator:
    """Measure the generator of ``settings``; what fails is said in ``error``. lines: of ``probe.texts``."""
    questions = [Listed(taken.tolist(), asked.tolist()) for taken, asked in zip(probe.taken, probe.asked, strict=True)]
    told_lines = [(one.name, list(one.tags)) for one in lines]
    asked = AskedOf(settings, told_lines, probe.texts[:8], questions, seconds)
    told, wrong = told_by("palate.evaluate.generator_child", asked, ToldOf(), f"measuring {called}", progress)
    if wrong:
        return MeasuredGenerator(called, error=wrong)
    auc, hit = _column(told.auc, len(questions)), _column(told.hit, len(questions))
    figures = {name: getattr(told, name) for name in _SAME}
    return MeasuredGenerator(
        called, questions=int((~np.isnan(auc)).sum()), auc=estimate(auc, probe.users), hit=estimate(hit, probe.users),
        values={"embed": _listed(auc), "rerank": _listed(hit)}, **figures,
    )  # fmt: skip


_SAME = (
    "name", "load_seconds", "memory_mb", "read_rate", "write_rate", "chat_ms", "text_ms", "order_ms", "asked", "valid",
    "chat_asked", "chat_right",
)  # fmt: skip


def _column(values: list[float | None], n: int) -> F64:
    found = np.full(n, np.nan)
    found[: len(values)] = [np.nan if value is None else value for value in values]
    return found


def _listed(values: F64) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def save(folder: Path, measured: list[MeasuredGenerator]) -> None:
    """Keep them beside the encoders' figures; a directory that can't be written to keeps nothing."""
    partial = folder / f".{_FILE}.part"
    try:
        partial.write_bytes(msgspec.json.encode(measured))
        partial.replace(folder / _FILE)
    except OSError:
        partial.unlink(missing_ok=True)


def load(folder: Path) -> list[MeasuredGenerator]:
    """What was kept; nothing where there is none, or it is another version's."""
    try:
        return msgspec.json.decode((folder / _FILE).read_bytes(), type=list[MeasuredGenerator])
    except (OSError, msgspec.MsgspecError):
        return []


# --------------------------------------------------------------------------------- recommending


def recommend_generator(
    need: Need, measured: Sequence[MeasuredGenerator], encoders: Sequence[Measured], probe: Probe, here: Sequence[str]
) -> Recommendation:
    """One generator, and for what: conversations, the loop, the night. here: those that could be used now."""
    excluded: dict[str, str] = {}
    fits: list[MeasuredGenerator] = []
    for one in measured:
        if one.error:
            excluded[one.generator] = one.error
        elif one.memory_mb > need.memory_mb:
            excluded[one.generator] = f"it takes {one.memory_mb:,.0f} MB, more than {need.memory_mb:,.0f}."
        elif one.valid < _VALID * one.asked:
            excluded[one.generator] = f"{one.valid} of {one.asked} answers were JSON of the schema, and in time."
        else:
            fits.append(one)
    if not fits:
        left = [name for name in here if name not in excluded]
        return _unmeasured(need, left, excluded)
    best = max(fits, key=lambda one: (one.chat_right / max(1, one.chat_asked), one.write_rate or 0.0))
    told = [_conversation(best), *_loop(best, need, encoders, probe), _night(best, need)]
    reasons = [_cost(best), *(reason for reason, _ in told if reason)]
    if any(speaks for _, speaks in told):
        return Recommendation("generate", best.generator, reasons, excluded)
    return Recommendation(
        "generate", "none", [f"Nothing that was measured speaks for {best.generator}.", *reasons], excluded
    )


def _unmeasured(need: Need, here: list[str], excluded: dict[str, str]) -> Recommendation:
    if here:
        return Recommendation(
            "generate", here[0],
            [f"{here[0]} is at hand, and wasn't measured: palate language measure {here[0]}.", _properties(here[0])],
            excluded,
        )  # fmt: skip
    told = [model for model in MODELS if "generate" in model.tasks and model.name not in excluded]
    foreign = [model for model in told if need.foreign > 0.05 and model.languages.startswith("English")]
    reasons = ["No generator is at hand: palate language fetch smollm2, or name a server."]
    reasons += [_described(model) for model in told]
    reasons += [
        f"{model.name} is a model of English, and {need.foreign:.0%} of the letters are of other scripts."
        for model in foreign
    ]
    return Recommendation("generate", "none", reasons, excluded)


def _properties(name: str) -> str:
    model = next((one for one in MODELS if one.name == name), None)
    return "Of a server's model nothing is known here." if model is None else _described(model)


def _described(model: Known) -> str:
    return f"{model.name}: {model.mb:.0f} MB, {model.languages}, {model.licence}, by its known properties."


def _cost(one: MeasuredGenerator) -> str:
    name, valid, asked, memory = one.generator, one.valid, one.asked, one.memory_mb
    if one.read_rate and one.write_rate:
        return (
            f"{name}: {valid} of {asked} answers are JSON of the schema; {one.read_rate:,.0f} tokens a second read, "
            f"{one.write_rate:,.0f} written; {memory:,.0f} MB."
        )
    return (
        f"{name}: {valid} of {asked} answers are JSON of the schema; its server doesn't count tokens; {memory:,.0f} MB."
    )


def _conversation(one: MeasuredGenerator) -> tuple[str, bool]:
    """A sentence, and whether it speaks for the generator; so do the next two."""
    took = "?" if one.chat_ms is None else f"{one.chat_ms:,.0f}"
    asked, right = one.chat_asked, one.chat_right
    if 2 * right >= asked > 0:
        good = (
            f"Conversations: of {asked} utterances that the parser left it restated {right} rightly, in {took} ms: let "
            "it help the parser."
        )
        return good, True
    bad = (
        f"Conversations: of {asked} utterances that the parser left it restated {right} rightly, in {took} ms: leave "
        "them to the parser."
    )
    return bad, False


def _loop(one: MeasuredGenerator, need: Need, encoders: Sequence[Measured], probe: Probe) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = []
    quick = one.order_ms is not None and one.order_ms <= need.ms
    if not quick and one.order_ms is not None:
        slow = f"Re-ranking: an order takes {one.order_ms:,.0f} ms, more than {need.ms:g}: keep it off requests."
        found.append((slow, False))
    serving = next((each for each in encoders if each.encoder == need.serving and each.values.get("rerank")), None)
    own = _column(one.values.get("rerank", []), len(probe.taken))
    if serving is not None and one.questions:
        theirs = _column(serving.values["rerank"], len(probe.taken))
        both = ~(np.isnan(own) | np.isnan(theirs))
        gain = paired(own[both], theirs[both], probe.users[both]) if both.any() else Estimate(None)
        if gain.value is not None and gain.low is not None and gain.high is not None:
            n, name = int(both.sum()), serving.encoder
            said = f"hit@1 {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
            if n < FEWEST:
                few = f"Re-ranking: {said} against {name} on {n} lists; {FEWEST} are needed to conclude anything."
                found.append((few, False))
            elif gain.low > 0.0:
                good = (
                    f"Re-ranking: {said} against {name} on {n} lists: it is worth trying (language.rerank), held out "
                    "in part."
                )
                found.append((good, quick))
            else:
                bad = f"Re-ranking: {said} against {name} on {n} lists: not better beyond doubt, leave it off."
                found.append((bad, False))
    if need.interactions < _LOOP_INTERACTIONS:
        early = (
            f"With {need.interactions:,} interactions a gate can't be learnt yet: it takes 200 rankings with the model "
            "and 200 without."
        )
        found.append((early, False))
    return found


def _night(one: MeasuredGenerator, need: Need) -> tuple[str, bool]:
    if one.text_ms is None:
        return "", False
    hours = need.texts * one.text_ms / 3.6e6
    if hours <= need.hours:
        return (
            f"At night: a sentence about each of {need.texts:,} texts takes {hours:,.1f} hours, within {need.hours:g}.",
            True,
        )
    return (
        f"At night: a sentence about each of {need.texts:,} texts takes {hours:,.1f} hours, more than {need.hours:g}.",
        False,
    )
