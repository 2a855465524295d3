"""Nothing in Palate reads a format that can carry code."""

from __future__ import annotations

import ast
from pathlib import Path

import palate
from tests.source import parsed

UNSAFE = {"pickle", "cPickle", "_pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal", "torch"}


def test_no_module_imports_a_loader_that_can_run_code() -> None:
    root = Path(palate.__file__).parent
    found: list[str] = []
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(parsed(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found += [f"{path.name}:{node.lineno}: {name}" for name in names if name.split(".")[0] in UNSAFE]
    assert found == []


def test_only_the_training_side_touches_lightgbm() -> None:
    """Its text format isn't safe on hostile input: models travel as arrays, and serving never imports it."""
    root = Path(palate.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] == "train":
            continue
        text = path.read_text(encoding="utf-8")
        assert "model_str" not in text, path
        assert "model_file" not in text, path
        if path.relative_to(root).parts[0] == "bench":
            continue  # it fits the booster that it compares with
        imports = [
            line.strip() for line in text.splitlines() if line.strip().startswith(("import lightgbm", "from lightgbm"))
        ]
        if path.name == "convert.py":
            assert "if TYPE_CHECKING:\n    import lightgbm" in text
            assert imports == ["import lightgbm"]
        else:
            assert imports == [], path


def test_torch_trains_and_neither_saves_nor_loads() -> None:
    """Training imports it by name, in two places, and so does the process of its own in which other people's encoders
    run; its own files can carry code: none is written or read."""
    root = Path(palate.__file__).parent
    found = {
        str(path.relative_to(root)): text.count('import_module("torch")')
        for path in sorted(root.rglob("*.py"))
        if 'import_module("torch' in (text := path.read_text(encoding="utf-8"))
    }
    assert found == {
        "language/transformer_child.py": 1,
        "train/text/libraries.py": 1,
        "train/towers/sequence.py": 1,
    }
    body = (root / "train" / "text" / "body.py").read_text(encoding="utf-8")
    assert '"trust_remote_code": False' in body
    assert '"use_safetensors": True' in body
    child = (root / "language" / "transformer_child.py").read_text(encoding="utf-8")
    assert '"use_safetensors": True' in child
    assert "trust_remote_code=False" in child
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "torch.load" not in text, path
        assert "torch.save" not in text, path
        assert "torch.jit" not in text, path
