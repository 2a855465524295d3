"""Smaller and faster encoders: int8 weights, a vector a token, fewer heads and neurons, fewer layers.

Each is judged against what it was made from (``judge``), and what loses too much is not kept (``refusal``).
"""
