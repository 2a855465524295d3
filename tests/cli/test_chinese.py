"""In Chinese everything that people read is Chinese: help, report, tables and what goes wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import palate as package
from palate.cli import app, messages
from palate.cli.chinese import FOREIGN, SENTENCES, SYSTEM
from palate.cli.chinese_help import HELP
from palate.cli.target import Remote
from palate.cli.translation import BLANK, NESTED, local, paragraphs, word
from palate.datasets.report import DataReport
from palate.errors import PalateError
from palate.features import NAMES
from palate.store.lock import DirectoryLock
from tests.cli.conftest import Palate
from tests.cli.test_bad_input import SENTENCES as MISTAKES
from tests.source import parsed

HAN = re.compile(r"[\u4e00-\u9fff]")
SOURCE = Path(package.__file__).parent


@pytest.fixture
def chinese() -> Iterator[None]:
    messages.choose("zh")
    yield
    messages.choose(None)


def commands(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield name, command
    for key, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*name, key))


TREE = list(commands(typer.main.get_command(app)))


def test_every_help_text_has_a_chinese_one_and_none_is_left_over() -> None:
    used = {"Show this message and exit."}
    for _, command in TREE:
        for text in [command.help, *(getattr(parameter, "help", None) for parameter in command.params)]:
            used |= {part for part in paragraphs(text or "") if not part.startswith("palate ")}
    assert used == set(HELP)
    assert [english for english, text in HELP.items() if not HAN.search(text)] == []


@pytest.mark.parametrize("name", [name for name, _ in TREE], ids=lambda name: " ".join(name) or "palate")
def test_help_is_chinese(palate: Palate, name: tuple[str, ...]) -> None:
    shown = palate(*name, "--help", "--lang", "zh")
    assert (shown.code, shown.err) == (0, "")
    for text in ("用法：", "选项", "显示本帮助并退出。"):
        assert text in shown.out
    for english in ("Usage", "Options", "Arguments", "Commands", "default", "required", "Examples"):
        assert english not in shown.out
    assert "Usage: " in palate(*name, "--help").out


def test_help_follows_the_environment(palate: Palate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "用法：" in palate("--help").out
    assert "Usage: " in palate("--help", "--lang=en").out


def said() -> str:
    """Every string of the source, blanks of f-strings as NUL."""
    found: list[str] = []
    for path in SOURCE.rglob("*.py"):
        if not path.name.startswith("chinese"):
            for node in ast.walk(parsed(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(BLANK.sub("\0", node.value))
    return "\n".join(found)


def test_what_is_translated_is_said_somewhere() -> None:
    source = said()
    lost = [
        (english, part)
        for english in SENTENCES
        if english not in FOREIGN | SYSTEM
        for part in BLANK.sub("\0", english).split("\0")
        if len(part) > 3 and part.strip(" .,;(") not in source
    ]
    assert lost == []


def test_no_template_stands_before_a_more_particular_one(chinese: None) -> None:
    for english, text in SENTENCES.items():
        filled = [BLANK.sub(lambda blank: f"<{blank[1]}>", each) for each in (english, text)]
        assert local(filled[0]) == filled[1]


def test_both_languages_name_the_same_things() -> None:
    for english, text in SENTENCES.items():
        inside = set(BLANK.findall(text))
        assert inside <= set(BLANK.findall(english)), english
        assert set(BLANK.findall(english)) & NESTED <= inside, english
        assert HAN.search(text) or english == "python", english


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES, ids=[" ".join(a) for a, _ in MISTAKES])
def test_mistakes_are_told_in_chinese(
    palate: Palate, shop: Path, folder: Path, arguments: list[str], sentence: str
) -> None:
    if "--lang" in arguments:
        pytest.skip("It asks for another language.")
    file = shop.parent / "file"
    file.touch()
    places = {"SHOP": str(shop), "FOLDER": str(folder), "FILE": str(file)}
    done = palate(*(places.get(argument, argument) for argument in arguments), "--lang", "zh")
    last = done.err.splitlines()[-1]
    assert last.startswith("palate 出错：")
    assert HAN.search(last.removeprefix("palate 出错："))
    assert re.search(r"\b(is|not|the|must|should)\b", last) is None


def test_unknown_things_a_lock_and_a_silent_service_are_told_in_chinese(
    palate: Palate, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    for arguments in (
        ["models", "activate", "v9999"],
        ["models", "rollback"],
        ["explain", "nothing", "i1"],
        ["recommend", "u1", "--policy", "best"],
    ):
        last = palate(*arguments, "--dir", shop).err.splitlines()[-1]
        assert HAN.search(last.removeprefix("palate 出错：")), last
    with DirectoryLock(shop):
        last = palate("recommend", "u1", "--dir", shop).err.splitlines()[-1]
    assert HAN.search(last.removeprefix("palate 出错：")), last
    messages.choose("zh")
    with pytest.raises(PalateError) as silent:
        Remote("http://127.0.0.1:9", None).models()
    assert local(silent.value.message) == "http://127.0.0.1:9 处的服务没有应答：连接被拒绝。它还在运行吗？"
    messages.choose(None)


def test_json_speaks_english(palate: Palate, shop: Path) -> None:
    done = palate("recommend", "u1", "-k", 0, "--dir", shop, "--lang", "zh", "--json")
    assert done.json["error"]["message"] == "k is 0; it must lie between 1 and 1000."
    assert done.err == "palate 出错：k 是 0；它必须在 1 与 1000 之间。\n"


def test_a_bad_mapping_is_told_in_chinese(palate: Palate, tmp_path: Path) -> None:
    data, mapping = tmp_path / "log.csv", tmp_path / "columns.toml"
    data.write_text("user,item,ts\nu,i,5\n")
    for text in ('usr = "who"', 'value = "stars"', "user =", '[files."x*"]\nkind = "events"'):
        mapping.write_text(text)
        done = palate("import", "--data", data, "--mapping", mapping, "--dir", tmp_path / "e", "--lang", "zh")
        assert HAN.search(done.err.splitlines()[-1].removeprefix("palate 出错：")), done.err


def test_the_data_report_is_chinese(palate: Palate, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "views.csv").write_text('user,item,rating,ts\nu,a,5,1\nu,a,x,2\nu,b\nu,a,5,\nu,"b,5,3\n')
    (folder / "untimed.csv").write_text("user,item\nu,a\n")
    (folder / "notes.csv").write_text("nothing,here\n1,2\n")
    (folder / "bad.json").write_text("{")
    (folder / "log.ndjson").write_text(
        '{"event":"interaction","user":"u","item":"a","type":"t","timestamp":1}\n[1,2]\n'
    )
    done = palate("import", "--data", folder, "--dir", tmp_path / "e", "--lang", "zh")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if not HAN.search(line)] == []
    assert "log.ndjson 第 2 行：该行不是 JSON 对象。" in done.out
    assert "views.csv 第 3 行：rating 'x' 不是数字。" in done.out
    assert "略过 bad.json：bad.json 不是有效的 JSON" in done.out


def test_every_sentence_of_a_report_is_known(chinese: None) -> None:
    report = DataReport(name="x", source="y", types={"view": 3}, first=0, last=5, missing_timestamps=2, rejected=3)
    for line in [*report.sentences(), *DataReport(name="x", source="y").sentences()]:
        assert HAN.search(local(line)), line


def test_the_doctor_speaks_chinese(palate: Palate, shop: Path) -> None:
    found = palate("doctor", "--dir", shop, "--json").json["checks"]
    messages.choose("zh")
    for check in found:
        assert HAN.search(local(check["name"])) or check["name"] == "python"
        assert not check["mend"] or HAN.search(local(check["mend"])), check
    messages.choose(None)
    assert "检查" in palate("doctor", "--dir", shop, "--lang", "zh").out


@pytest.mark.parametrize("language", ["en", "zh"])
def test_features_are_told_in_words(palate: Palate, shop: Path, language: str) -> None:
    messages.choose("zh" if language == "zh" else "en")
    words = {name: word("feature", name) for name in NAMES}
    assert [name for name, text in words.items() if "_" in text or name == text] == []
    assert len(set(words.values())) == len(NAMES)
    ranking = palate("recommend", "u1", "--dir", shop, "--policy", "greedy", "--json").json
    done = palate("explain", ranking["ranking"], ranking["items"][0]["id"], "--dir", shop, "--lang", language)
    assert done.code == 0
    assert [name for name in NAMES if "_" in name and name in done.out] == []
    assert any(text in done.out for text in words.values())


def test_what_the_demo_says_of_features_is_words(palate: Palate, folder: Path) -> None:
    for language in ("en", "zh"):
        done = palate("demo", "--data", folder, "--no-serve", "--lang", language)
        assert done.code == 0
        assert [name for name in NAMES if "_" in name and re.search(rf"\b{name}\b", done.out)] == []


def test_a_name_of_your_own_is_its_own_word() -> None:
    assert word("type", "sent_as_gift") == "sent as gift"
    assert word("feature", "context.device") == "context.device"
