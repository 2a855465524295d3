"""In Chinese bad settings, filters, events and addresses are told in Chinese; ``--json`` stays English."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from palate.cli import messages
from palate.cli.translation import local
from tests.cli.conftest import Palate
from tests.cli.test_bad_input import SENTENCES as MISTAKES
from tests.cli.test_chinese import HAN

PREFIX = "palate 出错："
ENGLISH = re.compile(r"\b(is|not|the|must|should|such|known|use|expected|environment|Expecting|Extra)\b")


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_mistakes_are_english_in_json_whatever_the_language(
    palate: Palate, shop: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    file = shop.parent / "file"
    file.touch()
    for name, path in (("SHOP", shop), ("FOLDER", folder), ("FILE", file)):
        arguments = [str(path) if argument == name else argument for argument in arguments]
        sentence = sentence.replace(name, str(path))
    assert palate(*arguments, "--json").json["error"]["message"] == sentence


def test_the_doctor_is_english_in_json(palate: Palate, tmp_path: Path) -> None:
    checks = palate("doctor", "--dir", tmp_path / "none.palate", "--lang", "zh", "--json").json["checks"]
    assert [check for check in checks if HAN.search("".join(check.values()))] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LANGUAGE__THREADS", "x"),
        ("LANGUAGE__THREADS", "0"),
        ("LANGUAGE__ENCODER", "nonesuch"),
        ("SCENE", "garden"),
        ("SEEN", "3"),
        ("POLICY__RANK", "best"),
        ("POLICY__RANKS", "greedy"),
        ("NOTHING", "1"),
        ("WEIGHTS__VIEW", "heavy"),
        ("WEIGHTS__VIEW", "1e9"),
    ],
)
def test_bad_settings(palate: Palate, shop: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"PALATE_{name}", value)
    last = palate("recommend", "u1", "--dir", shop, "--lang", "zh").err.splitlines()[-1]
    assert last.startswith(PREFIX)
    assert HAN.search(last.removeprefix(PREFIX))
    assert ENGLISH.search(last) is None, last


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{'a': 1}",
        '{"a"}',
        '{"a": }',
        '{"a": 1} x',
        '{"a',
        "3",
        '{"a": 1}',
        '{"a": {"near": 1}}',
        '{"a": {"in": 1}}',
        '{"a": {"eq": null}}',
        '{"a": {"lt": true}}',
        '{"a": {"exists": 1}}',
        '{"and": []}',
        '{"not": 1}',
    ],
)
def test_bad_filters(palate: Palate, shop: Path, text: str) -> None:
    last = palate("recommend", "u1", "--dir", shop, "--filter", text, "--lang", "zh").err.splitlines()[-1]
    assert last.startswith(PREFIX)
    assert HAN.search(last.removeprefix(PREFIX))
    assert ENGLISH.search(re.sub(r"filter\.\S+", "", last)) is None, last


def test_refused_events_of_a_log(palate: Palate, tmp_path: Path) -> None:
    rows = [
        {"user": 1, "item": "a"},
        {"item": "a"},
        {"user": "u"},
        {"user": "u", "item": ""},
        {"user": "u", "item": "a", "timestamp": "later"},
        {"user": "u", "item": "a", "timestamp": -1},
        {"user": "u", "item": "a", "value": 1e300},
        {"user": "u", "item": "a", "value": "much"},
        {"user": "u", "item": "a", "colour": "red"},
        {"user": "u", "item": "b" * 1000},
    ]
    log = tmp_path / "log.ndjson"
    usual = {"event": "interaction", "type": "view", "timestamp": 1}
    lines = [json.dumps({**usual, **row}) for row in [{"user": "u", "item": "a"}, *rows]]
    log.write_text("\n".join([*lines, '{"event": "interaction"', ""]))
    done = palate("import", "--data", log, "--dir", tmp_path / "e", "--lang", "zh")
    assert done.code == 0
    refused = [line.partition(" 行：")[2] for line in done.out.splitlines() if " 行：" in line]
    assert len(refused) == len(rows) + 1, done.out
    assert [line for line in refused if not HAN.search(line) or ENGLISH.search(line)] == []


def test_packages_of_another_version() -> None:
    messages.choose("zh")
    assert local("missing: a; b 1, where >=2 is needed; c 3, where ==4 is needed; d") == (
        "缺少：a; b 1（需要 >=2）；c 3（需要 ==4）；d"
    )
    messages.choose(None)


def test_an_address_that_is_taken(palate: Palate, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        last = palate("serve", "--dir", tmp_path / "e", "--port", port, "--lang", "zh").err.splitlines()[-1]
    assert last == (
        f"{PREFIX}无法监听 127.0.0.1:{port}（地址已被占用）："
        "请换一个端口（--port 0 取任意空闲端口），或停止占用它的程序。"
    )


def test_a_settings_file_that_is_a_folder(palate: Palate, folder: Path, tmp_path: Path) -> None:
    engine = tmp_path / "e.palate"
    (engine / "palate.toml").mkdir(parents=True)
    done = palate("import", "--data", folder, "--dir", engine, "--lang", "zh")
    assert done.err.splitlines()[-1] == f"{PREFIX}无法读取 {engine}/palate.toml：这是一个目录。"
