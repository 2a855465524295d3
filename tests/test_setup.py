"""``tools/setup``, the part of ``make demo`` and ``make test`` that runs before there is any Palate."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TOOLS = ("sh", "cat", "cksum", "tr", "dirname", "grep", "rm")
"""All that a fresh machine is asked for, beside make and Python."""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout on a machine that has nothing but the basic tools."""
    for name in ("tools", "requirements"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "bin").mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def python(machine: Path, name: str, version: str, recent: bool, venv: bool) -> None:
    """A stand-in that answers the three questions that the script asks of an interpreter, and makes an empty venv."""
    path = machine / "bin" / name
    path.write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        f"  *version_info*) exit {0 if recent else 1} ;;\n"
        f"  *platform*) echo {version} ;;\n"
        f"  *ensurepip*) exit {0 if venv else 1} ;;\n"
        "  *) exit 9 ;;\n"
        "esac\n"
    )
    path.chmod(0o755)


def setup(machine: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(machine / "bin" / "sh"), "tools/setup", "demo"],
        cwd=machine,
        env={"PATH": str(machine / "bin"), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_python_at_all(machine: Path) -> None:
    done = setup(machine)
    assert done.returncode == 1
    assert done.stderr == (
        "palate: Python 3.11 or newer is needed, and none of python3.13, python3.12, python3.11, python3 can be run. "
        "Install one, or name it: make PYTHON=/path/to/python3.11\n"
    )


def test_an_old_python_only(machine: Path) -> None:
    python(machine, "python3", "3.9.2", recent=False, venv=True)
    done = setup(machine)
    assert done.returncode == 1
    assert done.stderr == (
        "palate: Python 3.11 or newer is needed, and python3 is Python 3.9.2. "
        "Install a newer one, or name it: make PYTHON=/path/to/python3.11\n"
    )


def test_without_the_venv_module(machine: Path) -> None:
    python(machine, "python3", "3.11.2", recent=True, venv=False)
    done = setup(machine)
    assert done.returncode == 1
    assert done.stderr == (
        "palate: python3 (Python 3.11.2) cannot make a virtual environment, because its venv module is missing. "
        "Install it (on Debian and Ubuntu: apt-get install python3-venv) and run make again.\n"
    )


def test_a_newer_python_is_found_beside_an_old_one_and_a_broken_shim(machine: Path) -> None:
    python(machine, "python3", "3.9.2", recent=False, venv=True)
    python(machine, "python3.12", "3.12.1", recent=True, venv=True)
    (machine / "bin" / "python3.13").write_text("#!/bin/sh\necho 'no such version' >&2\nexit 127\n")
    (machine / "bin" / "python3.13").chmod(0o755)
    done = setup(machine)
    assert done.stdout == "", "what make prints of the set-up must not stand before the JSON of a command"
    assert "[1/3] Making .venv with Python 3.12.1 (python3.12)\n" in done.stderr
    assert "could not make a virtual environment" in done.stderr


def test_the_named_python_is_the_only_one_tried(machine: Path) -> None:
    python(machine, "python3.12", "3.12.1", recent=True, venv=True)
    done = setup(machine, PYTHON="mine")
    assert done.returncode == 1
    assert "none of mine can be run" in done.stderr


def test_nothing_is_done_twice(machine: Path) -> None:
    (machine / ".venv" / "bin").mkdir(parents=True)
    (machine / ".venv" / "bin" / "python").symlink_to(machine / "bin" / "sh")
    stamp = subprocess.run(
        ["sh", "-c", "cat requirements/demo.lock pyproject.toml | cksum | tr ' ' '-'"],
        cwd=machine,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (machine / ".venv" / ".stamp-demo").write_text(stamp)
    done = setup(machine)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
