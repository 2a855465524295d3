"""What the supervisor does where a worker can't be started."""

from __future__ import annotations

import errno
import logging
import os
import signal
from typing import Any

import pytest

from palate.serve.workers import supervisor
from palate.serve.workers.supervisor import Supervisor


def test_a_fork_that_fails_is_tried_again_and_ends_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one: Any = object.__new__(Supervisor)
    one._due, one._begun, one._pids, one._plan = {1: 0.0}, [0.0, 0.0], {0: 1}, type("Plan", (), {"loaded": None})()

    def fork() -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(supervisor.os, "fork", fork)
    with caplog.at_level(logging.ERROR, "palate.serve"):
        one._start()
    assert "Worker 2 can't be started now (Cannot allocate memory)" in caplog.text
    assert one._pids == {0: 1}
    assert one._due[1] > one._begun[1] > 0.0
    assert not {signal.SIGTERM, signal.SIGINT} & signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_worker_that_always_fails_is_tried_for_ever() -> None:
    one: Any = object.__new__(Supervisor)
    one._up, one._begun, one._short, one._due = True, [float("inf")], [5_000], {}
    one._board = type("Board", (), {"draining": False, "restarted": lambda _: None})()
    one._ended(0, 123, 1, was_ready=False)
    assert one._short == [5_001]
    assert 0 in one._due
