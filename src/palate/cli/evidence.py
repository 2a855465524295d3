"""What a compression learns from and is judged by: texts of a directory, of a file, of a table of classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from palate.cli.target import existing
from palate.errors import InvalidInput
from palate.types import I64

if TYPE_CHECKING:  # it takes a fifth of a second
    from palate.evaluate.probe import Probe

_FEWEST = 50
_KEPT_OUT = 0.1
_MOST_KEPT_OUT = 1000


class Evidence(NamedTuple):
    """learn, kept_out: distinct texts. probe: of a directory; asked, labels: rows of a table to judge classes by."""

    learn: list[str]
    kept_out: list[str]
    probe: Probe | None
    asked: list[str]
    labels: I64
    names: list[str]


def gather(directory: Path | None, corpus: Path | None, csv: Path | None, text: str, label: str, seed: int) -> Evidence:
    """Rows of the table that classes were judged by (``train.text.table.split`` by seed 1) are no texts to learn from.

    Errors: ``InvalidInput`` for files that can't be read, and for fewer than 50 texts."""
    texts: list[str] = []
    asked: list[str] = []
    names: list[str] = []
    labels = np.zeros(0, np.int64)
    probe = None
    if csv is not None:
        from palate.train.text.table import read_table, split

        found = read_table(csv, text, label)
        parts = split(found.labels, seed=1)
        texts += [found.texts[int(at)] for at in np.concatenate([parts.learn, parts.valid])]
        asked = [found.texts[int(at)] for at in parts.test]
        labels, names = found.labels[parts.test], found.names
    if corpus is not None:
        try:
            texts += [line.strip() for line in corpus.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{corpus} is not UTF-8 (byte {error.start}): save it as UTF-8.", "--corpus") from None
        except OSError as error:
            raise InvalidInput(f"{corpus} can't be read: {error.strerror}.", "--corpus") from None
    if directory is not None:
        import palate
        from palate.evaluate.probe import draw
        from palate.train.history import read_history

        with palate.open(existing(directory), until=1 << 62) as engine:
            history = read_history(engine.parts.store, engine.settings, dead=engine.state.dead)
            probe = draw(history, engine.catalogue)
            texts += [engine.catalogue.text(item) for item in range(engine.state.n_items)]
    judged = set(asked)
    distinct = [one for one in dict.fromkeys(texts) if one and one not in judged]
    if len(distinct) < _FEWEST:
        raise InvalidInput(
            f"There are {len(distinct)} texts, and {_FEWEST} or more are needed to learn from and to judge by: name an "
            f"engine with --dir, or a file of texts with --corpus.",
            "--dir",
        )
    order: list[int] = np.random.default_rng(seed).permutation(len(distinct)).tolist()
    out = min(_MOST_KEPT_OUT, max(20, round(_KEPT_OUT * len(distinct))))
    kept_out, learn = [distinct[at] for at in order[:out]], [distinct[at] for at in sorted(order[out:])]
    return Evidence(learn, kept_out, probe if probe is not None and len(probe.taken) else None, asked, labels, names)
