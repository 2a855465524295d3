"""No generator: every question is answered at once, with nothing."""

from __future__ import annotations

from typing import TypeVar

from palate.language.prompt import Prompt, Reply

T = TypeVar("T")


class MuteGenerator:
    """Answers ``generator_off``. Cost: nothing."""

    name = "none"
    ready = False

    def generate(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """See ``Generator.generate``."""
        return Reply(None, "generator_off", "No generator is configured (language.generator.kind).")

    async def ask(self, prompt: Prompt[T], seconds: float | None = None) -> Reply[T]:
        """See ``Generator.ask``."""
        return self.generate(prompt, seconds)

    def warm(self) -> None:
        """Nothing to load."""

    def stats(self) -> dict[str, float]:
        """Nothing is counted."""
        return {}

    def close(self) -> None:
        """Nothing to stop."""
