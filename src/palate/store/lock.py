"""One writer a directory: an advisory lock that the kernel drops when its process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from palate.errors import Locked, Unavailable


class DirectoryLock:
    """Holds ``directory/LOCK`` (flock, with the pid inside) from construction until ``release``.

    The file stays when the lock goes: removing it would let two processes hold different files of one name.
    Errors: ``Locked`` naming the process that holds it, ``Unavailable`` when the file can't be written.
    """

    def __init__(self, directory: Path | str) -> None:
        self.path = Path(directory) / "LOCK"
        self._fd: int | None = None
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise Unavailable(
                f"Cannot lock {directory}: {error.strerror}. Check that the directory exists, and that it and LOCK in "
                "it may be written to."
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise Locked(_held(str(directory), holder)) from None
        except OSError as error:
            os.close(fd)
            raise Unavailable(
                f"Cannot lock {directory}: {error.strerror}. The file system must support flock and have room."
            ) from None
        self._fd = fd

    @property
    def held(self) -> bool:
        """Whether this object still holds the lock."""
        return self._fd is not None

    def release(self) -> None:
        """Let go. Releasing twice is fine."""
        fd, self._fd = self._fd, None
        if fd is not None:
            # Said aloud: a child between fork and exec still has the descriptor, and would go on holding the lock.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _held(directory: str, holder: str) -> str:
    if holder == str(os.getpid()):
        return (
            f"{directory} is already open in this process (pid {holder}): close that engine first, or use it "
            "from both places."
        )
    who = f"process {holder}" if holder.isdigit() else "another process"
    return (
        f"{directory} is in use by {who}: wait until it has ended or stop it; if it is a service, talk to it over HTTP "
        "instead of opening the directory."
    )
