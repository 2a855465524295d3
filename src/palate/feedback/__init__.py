"""Feedback in words: what a review or a comment says, and what that makes of the event that carries it."""
