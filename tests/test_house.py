"""The rules of the house, checked on the source: who may import whom, what may not appear, how long a file may be."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import palate
from tests.source import parsed

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "palate"
FILES = sorted(SOURCE.rglob("*.py"))
EVERYTHING = FILES + sorted((ROOT / "tests").rglob("*.py"))

STAGES = {"store", "content", "language", "retrieve", "score", "policy"}
LAYERS: list[set[str]] = [
    {
        "types",
        "errors",
        "config",
        "settings",
        "settings_base",
        "settings_online",
        "settings_policy",
        "checks",
        "requests",
        "wire",
        "frames",
        "ids",
        "kernels",
        "model_info",
        "disk",
        "wishes",
        "summary",
        "redact",
        "feedback",
    },
    {"state", "profile", "tastes", "towers"},
    {"features"},
    STAGES | {"filters"},
    {"catalogue", "wished"},
    {"sourcing"},
    {"line"},
    {"explain", "reasons", "people", "portrayal"},
    {"train", "ratings"},
    {"bandits"},
    {"opening", "answer", "portrait", "intake", "background", "documents", "reranking", "experiment", "wording"},
    {"teaching", "summarising", "erasure", "rights", "online", "interleaving"},
    {"models"},
    {"arms"},
    {"reencoding"},
    {"chat"},
    {"explaining"},
    {"reader"},
    {"engine"},
    {"evaluate", "datasets"},
    {"serve"},
    {"world"},
    {"bench"},
    {"cli"},
]
TOGETHER: list[set[str]] = [LAYERS[0], LAYERS[1]]
"""Layers whose members may import one another."""

AFTER_ENGINE = {"evaluate", "datasets", "serve", "world", "bench", "cli", "testing"}

PUBLIC = [
    "Candidate",
    "ConfigError",
    "Conflict",
    "CorruptArtefact",
    "Engine",
    "Gone",
    "Impression",
    "Interaction",
    "InvalidInput",
    "Item",
    "Locked",
    "NotFound",
    "Overloaded",
    "PalateError",
    "RankRequest",
    "Ranking",
    "RecommendRequest",
    "Settings",
    "Unavailable",
    "User",
    "__version__",
    "open",
]

FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "print"}
FORBIDDEN_WORDS = re.compile(r"\bTO" + r"DO\b|\bFIX" + r"ME\b|\bXX" + r"X\b|NotImplemented" + r"Error")
MACHINE_PATHS = re.compile(r"/" + r"(work|root)/")


@functools.cache
def tree(path: Path) -> ast.Module:
    return parsed(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(path: Path) -> str:
    """The part of the house that a file belongs to: ``store/sqlite.py`` is of ``store``."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import of a part of Palate, those inside functions too."""
    package = ("palate", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "palate":
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            prefix = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            module = prefix + (node.module or "")
            if module.strip(".") == "palate":
                for alias in node.names:
                    yield node.lineno, f"palate.{alias.name}"
            elif module.split(".")[0] == "palate":
                yield node.lineno, module


def layer_of(part: str) -> int:
    return next((index for index, layer in enumerate(LAYERS) if part in layer), -1)


def breach(path: Path, target: str) -> str | None:
    """Why this file may not import ``target``; ``None`` where it may."""
    part = part_of(path)
    other = target.split(".")[1] if "." in target else ""
    if part == "__main__":
        return None if other == "cli" else "__main__ imports cli alone"
    if part == "__init__":
        return f"palate/__init__ imports {other}" if other in ("serve", "cli", "testing") else None
    if not other:
        return None if part in AFTER_ENGINE else "imports the package's own top, which stands right of it"
    if other == part or part == "testing":
        return None
    if other == "testing":
        return "only tests import palate.testing"
    if other == "serve":
        return None if name_of(path).endswith("cli/serve.py") else "only cli/serve.py imports serve"
    mine, theirs = layer_of(part), layer_of(other)
    if theirs < 0:
        return None if (SOURCE / "__init__.py").is_file() and other.startswith("__") else f"{other} is in no layer"
    if theirs < mine or any({part, other} <= group for group in TOGETHER):
        return None
    return f"{part} may not import {other}: it does not stand to its left"


def test_every_part_of_the_house_has_a_place_in_the_import_law() -> None:
    known = set().union(*LAYERS) | {"__init__", "__main__", "testing"}
    assert {part_of(path) for path in FILES} - known == set()


def test_import_law() -> None:
    found = [
        f"{name_of(path)}:{line}: {reason}"
        for path in FILES
        for line, target in imported(path)
        if (reason := breach(path, target))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("file", "target", "allowed"),
    [
        ("store/sqlite.py", "palate.types", True),
        ("store/sqlite.py", "palate.store.lock", True),
        ("store/sqlite.py", "palate.score", False),
        ("state/fold.py", "palate.features", False),
        ("state/fold.py", "palate.kernels", True),
        ("engine.py", "palate.train.fit", True),
        ("train/fit.py", "palate.engine", False),
        ("engine.py", "palate.serve.app", False),
        ("cli/doctor.py", "palate.serve.app", False),
        ("cli/serve.py", "palate.serve.run", True),
        ("engine.py", "palate.testing", False),
        ("engine.py", "palate.unheard_of", False),
        ("serve/app.py", "palate.world", False),
        ("world/rankers.py", "palate.engine", True),
        ("__init__.py", "palate.engine", True),
        ("__init__.py", "palate.cli", False),
    ],
)
def test_the_law_itself(file: str, target: str, allowed: bool) -> None:
    assert (breach(SOURCE / file, target) is None) is allowed


def test_files_are_at_most_400_lines() -> None:
    long = {name_of(path): count for path in EVERYTHING if (count := path.read_text().count("\n")) > 400}
    assert long == {}


def test_no_forbidden_modules_and_calls() -> None:
    found: list[str] = []
    for path in FILES:
        for node in ast.walk(tree(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0]]
            elif isinstance(node, ast.Call):
                if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                    found.append(f"{name_of(path)}:{node.lineno}: {node.func.id}()")
                for keyword in node.keywords:
                    if keyword.arg == "allow_pickle" and not (
                        isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                    ):
                        found.append(f"{name_of(path)}:{node.lineno}: allow_pickle")
            found += [f"{name_of(path)}:{node.lineno}: {name}" for name in names if name in FORBIDDEN_MODULES]
    assert found == []


def test_no_unfinished_business_and_no_paths_of_one_machine() -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in EVERYTHING
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if FORBIDDEN_WORDS.search(line) or MACHINE_PATHS.search(line)
    ]
    assert found == []


def test_a_broad_except_states_its_reason() -> None:
    found: list[str] = []
    for path in FILES:
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (
                isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            )
            near = lines[node.lineno - 2 : node.body[0].lineno]
            passes_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if broad and not passes_on and not any("#" in line for line in near):
                found.append(f"{name_of(path)}:{node.lineno}")
    assert found == []


def test_every_module_says_what_it_is() -> None:
    assert [name_of(path) for path in FILES if path.read_text().strip() and not ast.get_docstring(tree(path))] == []


def test_public_names_are_pinned() -> None:
    assert sorted(palate.__all__) == PUBLIC
    assert [name for name in PUBLIC if not hasattr(palate, name)] == []


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert palate.__version__ == project["version"]


def test_serving_never_imports_what_only_training_needs() -> None:
    code = (
        "import sys, palate.serve.app\n"
        "found = {'torch', 'lightgbm', 'pandas', 'plotly', 'sklearn', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(found)}' if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_development_dependencies_are_pinned_with_hashes() -> None:
    for name in ("dev.lock", "demo.lock"):
        text = (ROOT / "requirements" / name).read_text()
        entries = re.split(r"\n(?=\S)", text.strip())
        assert [entry for entry in entries if not re.match(r"[\w.-]+==\S+.*--hash=sha256:", entry, re.DOTALL)] == []
        assert "://" not in text


def test_the_pinned_lists_hold_everything_that_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = {
        "demo.lock": [*project["dependencies"], *extras["data"], *extras["dashboard"]],
        "dev.lock": [*project["dependencies"], *extras["data"], *extras["dashboard"], *extras["dev"]],
    }
    for file, requirements in asked.items():
        pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / file).read_text(), re.MULTILINE))
        names = {re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-") for requirement in requirements}
        assert names - pinned - {"palate"} == set(), f"requirements/{file} is behind pyproject.toml: make lock"
