"""Every generator: the contract, and what is said where one can't be made."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from palate.errors import ConfigError, MissingExtra
from palate.language import Generator, gguf, make_generator, openai
from palate.settings import GeneratorSettings
from palate.testing.generator import GeneratorContract
from tests.language.models import smollm2
from tests.language.protocol import ChatServer

_made: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def closing() -> Iterator[None]:
    yield
    for one in reversed(_made.values()):
        one.close()
    _made.clear()


class TestMute(GeneratorContract):
    answers = False

    def generator(self) -> Generator:
        return make_generator(GeneratorSettings())

    fresh = generator


class TestOpenAI(GeneratorContract):
    def generator(self) -> Generator:
        if "openai" not in _made:
            _made["openai"] = self.fresh()
        return _made["openai"]

    def fresh(self) -> Generator:
        pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
        if "server" not in _made:
            _made["server"] = ChatServer()
        return _made["server"].generator()


class TestLocal(GeneratorContract):
    def generator(self) -> Generator:
        if "gguf" not in _made:
            _made["gguf"] = self.fresh()
        return _made["gguf"]

    def fresh(self) -> Generator:
        return make_generator(GeneratorSettings(kind="gguf", model=str(smollm2()), seconds=30.0))


def settings(kind: Any, **more: Any) -> GeneratorSettings:
    defaults = {"model": "small", "base_url": "http://127.0.0.1:9/v1"} if kind == "openai" else {}
    return GeneratorSettings(kind=kind, **{**defaults, **more})


@pytest.mark.parametrize(("kind", "package"), [("openai", "openai"), ("gguf", "xllamacpp")])
def test_a_missing_library_says_what_to_install(kind: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        return None if name == package else util.find_spec(name)

    monkeypatch.setattr({"openai": openai, "gguf": gguf}[kind], "find_spec", absent)
    with pytest.raises(MissingExtra, match=rf"needs the package '{package}', .*pip install 'palate\[llm\]'"):
        make_generator(settings(kind, model="some.gguf"))


@pytest.mark.parametrize("model", ["absent.gguf", "a-name", "../..", "folder.gguf", "text.gguf"])
def test_a_model_that_is_not_there(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp isn't installed: pip install 'palate[llm]'.")
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "text.gguf").write_text("once upon a time")
    named = str(tmp_path / model) if model.endswith(".gguf") else model
    with pytest.raises(ConfigError) as caught:
        make_generator(settings("gguf", model=named))
    assert caught.value.where == "language.generator.model"
    assert model in caught.value.message


def test_a_file_that_only_begins_like_a_model_costs_its_questions(tmp_path: Path) -> None:
    from palate.testing.generator import question

    pytest.importorskip("xllamacpp", reason="xllamacpp isn't installed: pip install 'palate[llm]'.")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + bytes(5000))
    generator = make_generator(settings("gguf", model=str(tmp_path / "cut.gguf"), failures=2))
    generator.warm()
    found = [generator.generate(question(), 10.0).degraded for _ in range(3)]
    generator.close()
    assert found == ["generator_error", "generator_error", "generator_resting"]


def test_a_fetched_model_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp", reason="xllamacpp isn't installed: pip install 'palate[llm]'.")
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path))
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "models" / "tiny" / "tiny-q4.gguf").write_bytes(b"GGUF" + bytes(100))
    generator = make_generator(settings("gguf", model="tiny"))
    assert generator.name == "gguf:tiny-q4.gguf:104"
    generator.close()


def test_neither_library_is_imported_before_it_is_needed() -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    code = (
        "import sys, palate.serve.app, palate.language.openai, palate.language.gguf\n"
        "from palate.language import make_generator\n"
        "from palate.settings import GeneratorSettings\n"
        "made = make_generator(GeneratorSettings(kind='openai', model='m', base_url='http://127.0.0.1:9/v1'))\n"
        "made.close()\n"
        "found = {'openai', 'xllamacpp', 'httpx', 'httpx2'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(found)}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_a_process_may_end_while_the_model_reads() -> None:
    code = (
        "import sys, threading, time\n"
        "from palate.language import make_generator\n"
        "from palate.settings import GeneratorSettings\n"
        "from palate.testing.generator import question\n"
        "made = make_generator(GeneratorSettings(kind='gguf', model=sys.argv[1]))\n"
        "made.warm()\n"
        "long = question('word ' * 700, keep=False)\n"
        "threading.Thread(target=made.generate, args=(long, 60.0), daemon=True).start()\n"
        "time.sleep(0.3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(smollm2())], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
