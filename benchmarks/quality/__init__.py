"""Palate beside the libraries that people would otherwise take, on the same splits and by the same protocol.

    python -m benchmarks.quality --data movies path/to/a/folder --test 2500 --seeds 1

Each peer (``peers/``) gets a virtual environment of its own from the releases that its ``requirements.txt`` pins; only
that needs a network. It ranks the same moments as everybody, from the same history up to each, is refitted as often
as EASE is, and chooses among the trials of its ``trials.json`` on the end of the validation window. Prints tables in
Markdown and writes a plot. A peer that can't be installed or that fails is a row with the reason.
"""
