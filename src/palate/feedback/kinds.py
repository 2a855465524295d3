"""What a text makes of the event that carries it: of which type it is, with the grade of its text."""

from __future__ import annotations

from palate.config import Settings
from palate.feedback.grades import graded
from palate.feedback.opinion import understand
from palate.types import Interaction


def kind_of(event: Interaction, settings: Settings) -> str:
    """The type of an event, its grade with it where its text says something.

    A rating with a value keeps its own: how many stars somebody gave says it better than any reading of their words.
    """
    if event.text is None or not settings.language.feedback or (event.type == "rating" and event.value is not None):
        return event.type
    return graded(event.type, understand(event.text).sentiment)
