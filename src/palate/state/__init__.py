"""The in-memory state: a pure function of the event log. ``State.apply`` folds, ``snapshot`` stores and restores."""

from palate.state.state import State, tie_key

__all__ = ["State", "tie_key"]
