"""Grades of types: a type with a grade is one of its own in the state, and weighs by it.

A "review" whose text is bad to three fifths is an event of the type ``review``, grade −3. So everything that is told of
a type (weight, sign, code in a history) is told of it, and an event without a text costs nothing. Grades are of the
state; people and the wire see the type that was sent (``sent``).
"""

from __future__ import annotations

GRADES = 5
"""Grades from neutral to the best; as many below."""
_MARK = "\0"  # no type that is sent has one
_PRAISED = 0.5
_BLAMED = 2.5


def graded(kind: str, sentiment: float) -> str:
    """The type with the grade of a sentiment in [−1, 1]; the type itself where that is neutral."""
    grade = round(GRADES * sentiment)
    return f"{kind}{_MARK}{grade:+d}" if grade else kind


def sent(kind: str) -> str:
    """The type as it was sent."""
    return kind.partition(_MARK)[0]


def grade_of(kind: str) -> float:
    """Of a type, in [−1, 1]; 0 for one without."""
    grade = kind.partition(_MARK)[2]
    return int(grade) / GRADES if grade else 0.0


def weighed(weight: float, grade: float, least: float) -> float:
    """The weight of a type with a grade: w (1 + g/2) where it praises, w (1 + 5/2 g) but no less than ``least`` where
    it blames: nothing is left at −.4, and at −1 it is what a dislike is. What was negative stays as it is."""
    if weight <= 0:
        return weight
    if grade >= 0:
        return weight * (1 + _PRAISED * grade)
    return max(min(least, 0.0), weight * (1 + _BLAMED * grade))
