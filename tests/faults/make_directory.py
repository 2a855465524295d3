"""``python tests/faults/make_directory.py NAME``: a small data directory as the Palate on the path writes it, for R11.

It goes to ``data/NAME.tar.xz`` beside this file, with an ``expected.json`` of what later versions must find in it. Run
it once whenever a format changes, before it changes, and keep the archive: what was written once must open for ever. It
uses nothing but Palate's public names, so that it runs with versions of the past as well. All data is made up.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import palate

DATA = Path(__file__).parent / "data"
START = 1_700_000_000_000
MINUTE = 60_000
KINDS = ("tea", "wine", "bread")
TYPES = ("click", "purchase", "rating", "hide")
SETTINGS: dict[str, Any] = {
    "language": {"encoder": "hashing"},
    "train": {"trees": 8, "leaves": 4, "decisions": 120, "candidates": 12, "towers": []},
    "decisions": {"sample": 1.0, "flush_seconds": 0.1},
}


def events() -> list[dict[str, Any]]:
    """Items, users, impressions and interactions, one of them deleted, some late, some of the same moment."""
    found: list[dict[str, Any]] = []
    for n in range(24):
        fields = {
            "title": f"{KINDS[n % 3]} number {n}",
            "category": KINDS[n % 3],
            "tags": ["fresh", f"t{n % 4}"],
            "price": n,
        }
        found.append({"event": "item", "id": f"item-{n}", "timestamp": START + n, "item": f"i{n}", "fields": fields})
    for n in range(320):
        user, when = f"u{n * 7 % 12}", START + (n - (30 if n % 17 == 0 else 0)) * MINUTE
        item, kind = f"i{(n * 5 + n // 12) % 24}", TYPES[n // 12 % 4]
        event: dict[str, Any] = {
            "event": "interaction",
            "id": f"e{n:04d}",
            "timestamp": when,
            "user": user,
            "item": item,
        }
        found.append(event | {"type": kind, **({"value": 1.0 + n % 5} if kind == "rating" else {})})
    for n in range(20):
        shown = [f"i{(n + k) % 24}" for k in range(5)]
        found.append(
            {
                "event": "impression",
                "id": f"s{n}",
                "timestamp": START + n * MINUTE,
                "user": f"u{n % 12}",
                "items": shown,
            }
        )
    found.append(
        {"event": "user", "id": "age", "timestamp": START, "user": "u1", "fields": {"age": 40, "likes": ["tea"]}}
    )
    found.append({"event": "item", "id": "gone", "timestamp": START + 400 * MINUTE, "item": "i23", "deleted": True})
    found.append({"event": "user", "id": "bye", "timestamp": START + 400 * MINUTE, "user": "u11", "deleted": True})
    return found


def build(directory: Path, killed: Path | None) -> dict[str, Any]:
    """Fill ``directory``; what is in it, for whoever opens it later. killed: a copy made while the engine is open."""
    some = events()
    with palate.open(directory, **SETTINGS) as engine:
        engine.ingest(some[:250])
        engine.snapshot()
        engine.ingest(some[250:])
        engine.train()
        rankings = [engine.recommend(f"u{n}", 5).ranking for n in range(6)]
        rankings += [engine.rank(f"u{n}", [f"i{k}" for k in range(8)], k=4).ranking for n in range(6)]
        ids = [str(event.id) for event in engine.export()]
        if killed is not None:
            time.sleep(1.0)  # decisions are written by a thread
            shutil.copytree(directory, killed)
        return {
            "palate": palate.__version__,
            "events": len(ids),
            "ids": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
            "interactions": {f"u{n}": engine.user(f"u{n}").interactions for n in range(12)},
            "items": engine.counts().items,
            "decisions": rankings,
            "model": engine.model,
        }


def main(name: str) -> None:
    """Make the archive; of a name that ends in ``killed``, as a process leaves a directory that is killed."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "shop.palate"
        killed = Path(folder) / "killed.palate" if name.endswith("killed") else None
        expected = build(directory, killed)
        directory = killed or directory
        (directory / "expected.json").write_text(json.dumps(expected, indent=1))
        DATA.mkdir(exist_ok=True)
        with tarfile.open(DATA / f"{name}.tar.xz", "w:xz") as archive:
            for path in sorted(directory.rglob("*")):
                part = path.relative_to(directory)
                if path.is_file() and part.parts[0] not in ("replay", "LOCK"):
                    archive.add(path, str(part), filter=plain)


def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of the machine that made it."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(sys.argv[1])
