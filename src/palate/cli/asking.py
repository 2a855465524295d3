"""What ``palate doctor`` says about the generator: whether it answers a question of two words, and how fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from palate.config import Settings
from palate.errors import PalateError

_PATIENCE = 30.0
Found = tuple[str, Literal["ok", "warning", "broken"], str, str]


class Echo(msgspec.Struct, forbid_unknown_fields=True):
    """The answer to ``prompts/echo``."""

    right: bool


def examine_generator(settings: Settings) -> Iterator[Found]:
    """(name, status, detail, mend) where a generator is configured. Asks it one question; loads a file's weights."""
    from palate.language import make_generator
    from palate.language.prompt import load_prompt

    wanted = settings.language.generator
    if wanted.kind == "none":
        return
    try:
        made = make_generator(msgspec.structs.replace(wanted, seconds=_PATIENCE))
    except PalateError as error:
        yield "generator", "broken", error.message, 'Mend [language.generator], or set kind = "none" there.'
        return
    try:
        made.warm()
        question: Any = load_prompt("echo").fill(Echo, words="yes")
        reply = made.generate(question)
    finally:
        made.close()
    if reply.degraded is not None:
        detail = f"{made.name} gave no answer ({reply.degraded}): {reply.detail[:300]}"
        mend = "Check base_url, model and key, or the file. All works without it."
        yield "generator", "warning", detail, mend
        return
    detail = f"{made.name} answered in {reply.seconds:.2f} s ({reply.tokens_in} tokens in, {reply.tokens_out} out)"
    if reply.seconds > wanted.seconds:
        mend = f"That is longer than language.generator.seconds = {wanted.seconds:g}: raise it, or take a faster one."
        yield "generator", "warning", detail, mend
        return
    yield "generator", "ok", detail, ""
