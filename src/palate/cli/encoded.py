"""How the vectors of a directory stand, for ``palate doctor``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from palate.config import Settings

Status = Literal["ok", "note", "warning", "broken"]


def examine_vectors(folder: Path, settings: Settings) -> tuple[Status, str, str]:
    """Status, what there is, and how to mend it. Reads all vectors, changes nothing. Errors: as ``encoder_of``."""
    from palate.language import encoder_of, served
    from palate.language.cache import examine

    if settings.language.encoder == "none":
        return "ok", "no encoder, no vectors", ""
    encoder = encoder_of(settings.language, folder)
    serving = served.read(folder)
    changing = serving is not None and not served.same(serving.settings, settings.language)
    try:
        kept, wrong = examine(folder, encoder)
    except FileNotFoundError:
        if not changing:
            return "note", f"none of {encoder.name} yet: texts are encoded as they come", ""
        kept, wrong = 0, ""
    if wrong:
        return "warning", wrong, "The next command that opens the directory mends it by itself."
    if serving is not None and changing:
        detail = f"{serving.name} serves until all texts are encoded by {encoder.name}: {kept:,} so far"
        return "note", detail, "It goes on whenever the directory is open."
    return "ok", f"{kept:,} texts encoded by {encoder.name}", ""
