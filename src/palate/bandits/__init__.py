"""Bandits that learn from the answers to rankings: what they see, how they learn, what they may explore.

``context`` makes a context of a candidate for a person, ``learner`` folds events into a belief about contexts, ``kept``
writes it down, ``budget`` bounds exploration, and ``chooser`` is what an engine holds.
"""
