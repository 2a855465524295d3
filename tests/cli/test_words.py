"""No sentence of the command line stands under another one's key."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from palate.cli import messages

FOLDER = Path(messages.__file__).parent


def test_no_words_are_left_out() -> None:
    for path in FOLDER.glob("*_words.py"):
        keys = re.findall(r'^    "([\w.@ -]+)": \(', path.read_text(encoding="utf-8"), re.MULTILINE)
        assert keys
        assert [key for key in keys if key not in messages.MESSAGES] == [], path.name


def test_every_key_is_given_once() -> None:
    keys = Counter(
        key
        for path in [*FOLDER.glob("*_words.py"), FOLDER / "messages.py"]
        for key in re.findall(r'^    "([\w.@ -]+)": \(', path.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert len(keys) > 150
    assert [key for key, count in keys.items() if count > 1] == []
