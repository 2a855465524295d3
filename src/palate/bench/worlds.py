"""Worlds of several sizes: built once, kept where that is wanted, and measured on a copy where they are kept."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from palate.bench import world
from palate.bench.world import Say
from palate.train.replay import feature_key

FORMAT = 2
"""Of made-up worlds: kept ones of another format are left alone and built anew."""


class Size(NamedTuple):
    """A world: how many items and people, how many clicks a person has at most, and how large a forest it serves."""

    items: int
    users: int
    most: int = world.MOST
    trees: int = 300
    leaves: int = 31

    @property
    def name(self) -> str:
        """Of its directory. A world is of the features that its forest was grown on: with others it would be idle."""
        forest = f"{self.trees}x{self.leaves}-{feature_key()[:8]}"
        return f"{self.items}x{self.users}x{self.most}-{forest}-v{FORMAT}.palate"


@dataclass(frozen=True)
class Worlds:
    """The worlds under ``root``. kept: they stay as they were built; what measures one is given a copy."""

    root: Path
    kept: bool

    def make(self, size: Size, say: Say, smaller: Size | None = None) -> Path:
        """The directory of a world, built now where it isn't there.

        smaller: a world that differs in having fewer people alone, to begin with. Cost: see ``world.build``.
        """
        place = self.root / size.name
        if place.is_dir():
            return place
        building = self.root / f"{size.name}.building"
        shutil.rmtree(building, ignore_errors=True)
        if smaller is None:
            world.build(building, size.items, size.users, size.trees, size.leaves, say, size.most)
        else:
            shutil.copytree(self.make(smaller, say), building)
            world.grow(building, size.items, smaller.users, size.users, say, size.most)
        return building.rename(place)

    @contextlib.contextmanager
    def use(self, size: Size, say: Say, smaller: Size | None = None) -> Generator[Path]:
        """A directory of that world which may be written to."""
        made = self.make(size, say, smaller)
        if not self.kept:
            yield made
            return
        with tempfile.TemporaryDirectory(dir=self.root, prefix="used-") as used:
            copy = Path(used) / size.name
            shutil.copytree(made, copy)
            yield copy
