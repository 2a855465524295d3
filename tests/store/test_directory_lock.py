"""One process a directory, and the lock goes with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from palate.errors import Locked, Unavailable
from palate.store.lock import DirectoryLock

HOLD = """
import sys, time
from palate.store.lock import DirectoryLock
lock = DirectoryLock(sys.argv[1])
sys.stdout.write("held\\n")
sys.stdout.flush()
time.sleep(600)
"""


def test_held_until_released(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path) as lock:
        assert lock.held
        assert lock.path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(Locked, match=rf"is already open in this process \(pid {os.getpid()}\): close that engine"):
            DirectoryLock(str(tmp_path))
        assert lock.held
    assert not lock.held
    lock.release()
    DirectoryLock(tmp_path).release()


def test_another_process_is_named_and_its_death_frees_the_directory(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(Locked, match=rf"is in use by process {child.pid}: wait until it has ended or stop it; if it"):
        DirectoryLock(tmp_path)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    with DirectoryLock(tmp_path) as lock:
        assert lock.path.read_text() == f"{os.getpid()}\n"


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"Cannot lock .*: No such file or directory\. Check that the directory"):
        DirectoryLock(tmp_path / "absent")
