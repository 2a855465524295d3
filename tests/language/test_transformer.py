"""A model in a child process: the pipes, its death, its files. The library is a stand-in; a real model, where it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from palate.errors import ConfigError, MissingExtra, Unavailable
from palate.language import Encoder, make_encoder, transformer
from palate.language.transformer import TransformerEncoder, width_of
from palate.testing.encoder import EncoderContract

STAND_IN = """
import os, sys
import numpy as np
from palate.language.hashing import HashingEncoder
print("a library that talks")

class SentenceTransformer:
    def __init__(self, folder, **options):
        assert options["trust_remote_code"] is False and options["model_kwargs"] == {"use_safetensors": True}
        self.max_seq_length, self.inner = 512, HashingEncoder(24)
        self.prompts = {"query": "query: ", "passage": ""}
        print("loaded", folder)
        sys.stderr.write("a warning, more of them than a pipe holds\\n" * 5_000)

    def encode(self, texts, prompt, batch_size, show_progress_bar):
        if texts == ["die"]:
            sys.stderr.write("out of memory")
            os._exit(3)
        return self.inner.encode([(prompt or "") + text for text in texts]) * 2.0
"""


def model(folder: Path, **more: object) -> Path:
    """The files of a model."""
    (folder / "1_Pooling").mkdir(parents=True)
    safetensors.numpy.save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"hidden_size": 24, **more}))
    (folder / "modules.json").write_text(json.dumps([{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Normalize"}]))
    pooling = {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``sentence_transformers`` and a ``torch`` for the child."""
    place = tmp_path / "library"
    place.mkdir()
    (place / "sentence_transformers.py").write_text(STAND_IN)
    (place / "torch.py").write_text("def set_num_threads(n): assert n == 1\n")
    source = str(Path(transformer.__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), source]))
    monkeypatch.syspath_prepend(str(place))
    return place


@pytest.fixture
def encoder(library: Path, tmp_path: Path) -> TransformerEncoder:
    return TransformerEncoder(str(model(tmp_path / "my model")))


class TestContract(EncoderContract):
    @pytest.fixture(autouse=True)
    def _made(self, encoder: TransformerEncoder) -> None:
        self._encoder = encoder

    def encoder(self) -> Encoder:
        return self._encoder


def test_name_width_and_prompts(encoder: TransformerEncoder) -> None:
    assert encoder.name.startswith("hf-my-model-")
    assert encoder.dim == 24
    assert encoder.encode_queries(["tea"]) @ encoder.encode(["query: tea"]).T == pytest.approx(1.0)
    encoder.close()


def test_a_child_that_dies_says_why_and_is_started_again(encoder: TransformerEncoder) -> None:
    before = encoder.encode(["tea"])
    with pytest.raises(Unavailable, match="out of memory"):
        encoder.encode(["die"])
    np.testing.assert_array_equal(encoder.encode(["tea"]), before)
    assert encoder._child is not None
    os.kill(encoder._child.pid, signal.SIGKILL)
    encoder._child.wait()
    np.testing.assert_array_equal(encoder.encode(["tea"]), before)
    encoder.close()


def test_the_child_ends_with_its_parent(library: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys; from palate.language.transformer import TransformerEncoder\n"
        f"e = TransformerEncoder({str(model(tmp_path / 'm'))!r}); e.encode(['tea'])\n"
        "sys.stdout.write(str(e._child.pid)); sys.stdout.flush(); os._exit(0)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    for _ in range(500):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        os.sched_yield()
        __import__("time").sleep(0.01)
    raise AssertionError("The child outlived its parent.")


def test_other_weights_have_another_name(library: Path, tmp_path: Path) -> None:
    one, other = model(tmp_path / "a" / "m"), model(tmp_path / "b" / "m")
    assert TransformerEncoder(str(one)).name == TransformerEncoder(str(other)).name
    safetensors.numpy.save_file({"weight": np.ones(3, np.float32)}, other / "model.safetensors")
    assert TransformerEncoder(str(one)).name != TransformerEncoder(str(other)).name


def test_this_process_has_no_torch(encoder: TransformerEncoder) -> None:
    encoder.encode(["tea"])
    encoder.close()
    assert "torch" not in sys.modules or not sys.modules["torch"].__file__.startswith(str(encoder._folder.parent))


@pytest.mark.parametrize(
    ("modules", "config", "found"),
    [
        (None, {"hidden_size": 33}, 33),
        (None, {"dim": 12}, 12),
        ([{"path": "1_Pooling"}, {"path": "2_Dense"}], {"hidden_size": 33}, 8),
    ],
)
def test_the_width_is_in_the_files(tmp_path: Path, modules: object, config: dict[str, int], found: int) -> None:
    folder = model(tmp_path / "m")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text(json.dumps({"in_features": 24, "out_features": 8}))
    (folder / "modules.json").unlink()
    if modules is not None:
        (folder / "modules.json").write_text(json.dumps(modules))
    assert width_of(folder) == found


def test_what_is_missing_is_a_sentence(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"palate language fetch hf:nobody/nothing"):
        make_encoder("hf:nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no weights as safetensors"):
        make_encoder(f"hf:{tmp_path / 'empty'}")
    broken = model(tmp_path / "broken")
    (broken / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="no model that can be read"):
        make_encoder(f"hf:{broken}")
    monkeypatch.setattr(transformer, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"palate\[transformers\]"):
        make_encoder(f"hf:{broken}")
