"""Palate: a real-time personalised ranking engine that understands language."""

__version__ = "0.1.0"
