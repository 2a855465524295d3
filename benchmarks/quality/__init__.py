"""Palate beside the libraries that people would otherwise take, on the same splits and by the same protocol.

    python -m benchmarks.quality --everything --work peers
    python -m benchmarks.quality --data movies path/to/a/folder --test 2500 --seeds 1
    python -m benchmarks.quality --data movies --no-palate --baselines --peers als
    python -m benchmarks.quality --data movies --ablate tags-off untrained
    python -m benchmarks.quality --data movietweetings --freshness
    python -m benchmarks.quality --only-kept --page

Each peer (``peers/``) gets a virtual environment of its own from the releases that its ``requirements.txt`` pins; only
that needs a network. It ranks the same moments as everybody, from the same history up to each, is refitted as often
as EASE is, and chooses among the trials of its ``trials.json`` on the end of the validation window. A system that
can't be installed or that fails is a row with the reason.

``--ablate`` runs Palate with each part off (``variants.py``), ``--freshness`` with the last events withheld
(``freshness.py``). What a run leaves is kept under ``--work`` and read again until its code, its settings or the data
change, so that a run that was broken off goes on where it stood, and a system that isn't asked for still has its row
where it was measured before. Prints tables in Markdown, writes plots; ``--page`` writes the tables of
``docs/quality.md`` and its picture.
"""
