"""The catalogue: both languages, the same blanks, the right choice."""

from __future__ import annotations

import string

import pytest

from palate.cli import messages


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", sorted(messages.MESSAGES))
def test_both_languages_fill_in_the_same_values(key: str) -> None:
    english, chinese = messages.MESSAGES[key]
    assert blanks(english) == blanks(chinese)
    assert bool(english) == bool(chinese)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
    ],
)
def test_the_environment_chooses(environment: dict[str, str], language: str) -> None:
    assert messages.from_environment(environment) == language


def test_an_unknown_stage_keeps_its_name() -> None:
    messages.choose("zh")
    assert messages.stage("encode") == "编码文本"
    assert messages.stage("downloading movies.zip") == "下载 movies.zip"
    assert messages.stage("palate: encode") == "palate：编码文本"
    assert messages.stage("polishing x") == "polishing x"
    messages.choose(None)
