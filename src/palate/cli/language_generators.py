"""What ``palate language measure`` and ``recommend`` do with generators, and how figures of models are shown."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from palate.cli.console import Out, row, table
from palate.cli.messages import say
from palate.cli.translation import local
from palate.language.fetching import fetched
from palate.language.known import MODELS
from palate.settings import GeneratorSettings

if TYPE_CHECKING:  # they take a fifth of a second, which no other command should
    from palate.evaluate.bootstrap import Estimate
    from palate.evaluate.generators import MeasuredGenerator
    from palate.evaluate.measure import Measured
    from palate.evaluate.probe import Probe
    from palate.language.rerank import Described

CONFIGURED = "configured"
"""The generator of ``language.generator``, beside those that were fetched."""


def generators_here(settings: GeneratorSettings | None = None) -> list[str]:
    """Those that could be asked now: the configured one, and what was fetched."""
    found = [CONFIGURED] if settings is not None and settings.kind != "none" else []
    return found + [
        model.name
        for model in MODELS
        if "generate" in model.tasks and fetched(model) and all(find_spec(need) for need in model.needs)
    ]


def on_this_machine(settings: GeneratorSettings) -> bool:
    """Whether what it is asked stays here."""
    host = urlsplit(settings.base_url).hostname or ""
    try:
        return settings.kind != "openai" or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def settings_of(name: str, configured: GeneratorSettings) -> GeneratorSettings:
    """How the generator ``name`` is asked."""
    if name == CONFIGURED:
        return configured
    plain = GeneratorSettings(kind="gguf", model=name)
    return msgspec.structs.replace(plain, threads=configured.threads, context=configured.context)


def measure_generators(
    out: Out, folder: Path, probe: Probe, lines: Sequence[Described], configured: GeneratorSettings, names: list[str],
    seconds: float,
) -> list[MeasuredGenerator]:  # fmt: skip
    """Measure and keep them."""
    from palate.evaluate import generators as measuring

    found: list[MeasuredGenerator] = []
    with out.progress() as bars:
        for name in names:
            found.append(measuring.measure_generator(name, settings_of(name, configured), probe, lines, seconds, bars))
    before = [one for one in measuring.load(folder) if one.generator not in names]
    measuring.save(folder, before + [one for one in found if not one.error])
    return found


def show_generators(out: Out, measured: Sequence[MeasuredGenerator]) -> None:
    """A row each, what failed in a line of its own; nothing where there is none."""
    if not measured:
        return
    right = ("read", "written", "chat_ms", "text_ms", "order_ms", "memory", "valid", "restated", "questions")
    made = table(
        say("title.generators"), say("col.model"), *((say(f"col.{one}"), "right") for one in right), say("col.hit")
    )
    for one in measured:
        if one.error:
            out.note(f"{one.generator}: {local(one.error)}")
            continue
        figures = (one.read_rate, one.write_rate, one.chat_ms, one.text_ms, one.order_ms, one.memory_mb)
        row(
            made, one.generator, *("" if value is None else f"{value:,.0f}" for value in figures),
            f"{one.valid}/{one.asked}", f"{one.chat_right}/{one.chat_asked}", one.questions, interval(one.hit),
        )  # fmt: skip
    if made.rows:
        out.show(made)


def show_encoders(out: Out, measured: Sequence[Measured], probe: Probe, texts: int, share: float | None) -> None:
    """A row each, what failed in a line of its own, and what chance is. share: of the commonest class."""
    columns = ("model", "width", "texts_s", "one_ms", "memory", "questions", "auc", "hit", "accuracy")
    left = ("model", "auc", "hit", "accuracy")
    made = table(say("title.measured"), *[(say(f"col.{one}"), "left" if one in left else "right") for one in columns])
    for one in measured:
        if one.error:
            out.note(f"{one.encoder}: {local(one.error)}")
            continue
        row(
            made, one.encoder, one.width, f"{one.texts_per_second:,.0f}", f"{one.one_ms:.1f}", f"{one.memory_mb:,.0f}",
            one.questions, interval(one.auc), interval(one.hit), interval(one.accuracy),
        )  # fmt: skip
    if not made.rows:
        return
    out.show(made)
    out.say(
        "language.chance", majority="?" if share is None else f"{share:.2f}", texts=texts, questions=len(probe.taken),
        titles=len(probe.titles),
    )  # fmt: skip


def interval(found: Estimate) -> str:
    """A value with its interval, as far as there is one."""
    if found.value is None:
        return ""
    low_high = "" if found.low is None or found.high is None else f" [{found.low:.3f}, {found.high:.3f}]"
    return f"{found.value:.3f}{low_high}"
