"""What is told of a trained model: by what it was chosen, and how it stands against the one that served before it."""

from __future__ import annotations

from typing import Literal

import msgspec


class Margin(msgspec.Struct):
    """A mean difference of NDCG@10 over the same decisions, and its 95 % interval."""

    value: float
    low: float
    high: float


class Against(msgspec.Struct, omit_defaults=True):
    """A new model against the one that served when it was trained, on the newest choices of the log, from which neither
    of them had learnt (``train.former``).

    former: the version that served. verdict: ``better`` or ``worse`` beyond doubt (then it isn't activated by itself),
    ``even`` where neither is, ``untold`` where they can't be compared. why: of the last: ``few``, too few new choices;
    ``unusable``, the former model doesn't fit this directory. decisions: choices judged on, or that there were; people:
    who made them. ndcg, ndcg_former: mean NDCG@10 of each. margin: the new one's less the former's, its interval over
    people.
    """

    former: str
    verdict: Literal["better", "even", "worse", "untold"]
    why: Literal["", "few", "unusable"] = ""
    decisions: int = 0
    people: int = 0
    ndcg: float = 0.0
    ndcg_former: float = 0.0
    margin: Margin | None = None

    @property
    def refused(self) -> bool:
        """Whether the new model isn't to serve unless somebody says so."""
        return self.verdict == "worse"


class ModelInfo(msgspec.Struct):
    """A ranking artefact. ``metrics`` are those of the validation window that chose it.
    name: of the winner among these. single: the feature that alone ranks best, ``-`` before one that does so downwards.
    margins: by how much the winner beats each of the others. broken: what is wrong with its files, '' for nothing.
    against: how it stands against the model that served when it was trained; None where none did.
    """

    version: str
    created: int
    kind: str
    active: bool
    metrics: dict[str, float]
    log_position: int
    encoder: str
    events: int
    name: str = ""
    single: str = ""
    margins: dict[str, Margin] = {}
    broken: str = ""
    against: Against | None = None


class TrainReport(msgspec.Struct):
    """What training did: candidates compared on the validation window, and what ships. Names as in ``ModelInfo``."""

    version: str
    kind: str
    activated: bool
    metrics: dict[str, float]
    decisions: int
    rows: int
    seconds: dict[str, float]
    note: str = ""
    name: str = ""
    single: str = ""
    margins: dict[str, Margin] = {}
    against: Against | None = None

    @property
    def refused(self) -> bool:
        """Whether it is worse than the one that serves, which then goes on."""
        return self.against is not None and self.against.refused
