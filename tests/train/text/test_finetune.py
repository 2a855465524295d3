"""Fine-tuning: real models of each class, tiny and random, learn what can be learnt; what is saved says the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from palate.errors import ConfigError, InvalidInput
from palate.language import Encoder, make_encoder, textmodel
from palate.language.classes import load_classifier
from palate.language.transformer import width_of
from palate.testing.encoder import EncoderContract
from palate.train.text.body import Body, blocks_of, hold, load_body
from palate.train.text.classify import Fitted, TuneSettings, fit_classes
from palate.train.text.contrast import ContrastSettings, fit_pairs
from palate.train.text.libraries import load_torch
from palate.train.text.lora import Lora
from palate.train.text.pairs import Pairs
from palate.train.text.save import save_model
from palate.train.text.table import Table, read_table, split
from tests.train.text import tiny

pytestmark = [tiny.torched, pytest.mark.filterwarnings("ignore")]
FAST = TuneSettings(epochs=8, patience=8, rate=3e-3, rate_head=1e-2, decay=0.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    return {kind: tiny.model(place / kind, kind) for kind in ("bert", "gpt", "gpt2", "t5")}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    return read_table(tiny.table(tmp_path_factory.mktemp("csv") / "t.csv"), "text", "label")


def body(folder: Path, most: int = 32) -> Body:
    return load_body(load_torch("A test"), str(folder), most)


def fitted(folder: Path, table: Table, settings: TuneSettings = FAST) -> tuple[Body, Fitted]:
    made = body(folder)
    return made, fit_classes(made, table, split(table.labels), settings)


@pytest.mark.parametrize(
    ("kind", "family"), [("bert", "BERT-class"), ("gpt", "GPT-class"), ("gpt2", "GPT-class"), ("t5", "T5-class")]
)
def test_each_class_learns_and_what_is_saved_says_the_same(
    folders: dict[str, Path], table: Table, tmp_path: Path, kind: str, family: str
) -> None:
    made, found = fitted(folders[kind], table)
    report = found.report
    assert report.family == family
    assert report.scores.low > report.scores.majority, report
    assert report.epochs[report.best - 1].loss < report.epochs[0].loss or report.best == 1
    save_model(tmp_path / "m", made, kind, "test", {}, table.names, (found.weights, found.bias))
    parts = split(table.labels)
    asked = [table.texts[at] for at in parts.test.tolist()]
    classifier = load_classifier(tmp_path / "m")
    shares = classifier.probabilities(asked)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    assert (shares.argmax(axis=1) == table.labels[parts.test]).mean() == pytest.approx(report.scores.accuracy)
    np.testing.assert_allclose(classifier.encoder.encode(asked), made.vectors(made.tokens(asked)).numpy(), atol=1e-4)
    again = body(tmp_path / "m")  # other libraries read it, and so does another fine-tuning
    assert again.family == made.family
    np.testing.assert_allclose(again.vectors(again.tokens(asked)).numpy(), classifier.encoder.encode(asked), atol=1e-4)
    assert width_of(tmp_path / "m") == classifier.encoder.dim == 32


class TestOnnxContract(EncoderContract):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _made(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        if tiny.LACKING:
            pytest.skip("the model is made in PyTorch")
        place = tmp_path_factory.mktemp("contract")
        (place / "bert").mkdir()
        cls.made = make_encoder(f"onnx:{bytes_model(place)}")

    made: Encoder

    def encoder(self) -> Encoder:
        return self.made


def bytes_model(place: Path) -> Path:
    """A random BERT over bytes, which tells every text from every other."""
    from importlib import import_module

    from palate.train.compress.static import learn_tokens

    transformers: Any = import_module("transformers")
    torch: Any = import_module("torch")
    tokens = learn_tokens(["a few words of a text"], 300)
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=400, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=256, initializer_range=0.5,
    )  # fmt: skip
    module = transformers.BertModel(config)
    made = Body(torch, "bert", module, None, tokens, 128)
    save_model(place / "onnx", made, "random", "test", {})
    return place / "onnx"


def test_the_same_seed_gives_the_same_model(folders: dict[str, Path], table: Table) -> None:
    short = FAST._replace(epochs=1)
    one, other = (fitted(folders["bert"], table, short)[1].weights for _ in range(2))
    assert one.tobytes() == other.tobytes()
    assert one.tobytes() != fitted(folders["bert"], table, short._replace(seed=2))[1].weights.tobytes()


def test_the_minutes_end_it_and_what_was_learnt_by_then_is_judged(folders: dict[str, Path], table: Table) -> None:
    report = fitted(folders["bert"], table, FAST._replace(epochs=500, patience=500, minutes=0.01))[1].report
    assert report.cut
    assert len(report.epochs) < 500
    assert sum(map(sum, report.scores.confusion)) == report.rows[2]


def test_held_layers_stay_as_they_are_and_the_others_learn(folders: dict[str, Path], table: Table) -> None:
    before = body(folders["bert"])
    held = FAST._replace(epochs=2, hold_tokens=True, hold_layers=2, drop_tokens=0.2, dropout=0.0)
    made, found = fitted(folders["bert"], table, held)
    names: dict[str, Any] = dict(before.module.named_parameters())
    moved = {
        name for name, one in made.module.named_parameters() if not np.array_equal(one.detach(), names[name].detach())
    }
    assert moved
    assert all(name.startswith("encoder.layer.2.") for name in moved), moved
    assert found.report.learnt == sum(names[name].numel() for name in moved) + 2 * 32 + 2
    for settings, where in (
        (held._replace(hold_layers=3), "between 0 and 2"),
        (held._replace(lora=2), "give --lora 0"),
    ):
        with pytest.raises(InvalidInput, match=where):
            fitted(folders["bert"], table, settings)


@pytest.mark.parametrize("kind", ["bert", "gpt", "gpt2", "t5"])
def test_layers_of_every_class_can_be_held(folders: dict[str, Path], kind: str) -> None:
    made = body(folders[kind])
    for one in made.module.parameters():
        one.requires_grad_(True)
    hold(made, 1)
    _, _, blocks = blocks_of(made.module)
    assert not any(one.requires_grad for one in blocks[0].parameters())
    assert all(one.requires_grad for one in blocks[1].parameters())
    assert not made.module.get_input_embeddings().weight.requires_grad


def test_adapters_learn_few_parameters_and_leave_nothing_behind(folders: dict[str, Path], table: Table) -> None:
    made, found = fitted(folders["gpt"], table, FAST._replace(lora=4, rate_lora=1e-2))
    assert found.report.lora == 4
    assert found.report.learnt < found.report.parameters
    assert found.report.scores.low > found.report.scores.majority
    assert not [name for name, _ in made.module.named_parameters() if "lora" in name]


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_merged_adapters_say_what_they_said(folders: dict[str, Path], kind: str) -> None:
    made = body(folders[kind])
    tokens = made.tokens(["a lovely film", "the dull story with music"])
    untouched = made.vectors(tokens).numpy()
    lora = Lora(made.torch, made.module, 3)
    np.testing.assert_array_equal(made.vectors(tokens).numpy(), untouched)
    with made.torch.no_grad():
        for parameter in lora.parameters:
            parameter += 0.1 * made.torch.randn_like(parameter)
    apart = made.vectors(tokens).numpy()
    lora.merge()
    np.testing.assert_allclose(made.vectors(tokens).numpy(), apart, atol=1e-5)
    assert np.abs(apart - untouched).max() > 1e-3


def test_padding_changes_nothing(folders: dict[str, Path]) -> None:
    for kind in ("bert", "gpt", "t5"):
        made = body(folders[kind])
        tokens = made.tokens(["film", "a lovely film with a moving story and music"])
        together = made.vectors(tokens).numpy()
        alone = np.concatenate([made.vectors([one]).numpy() for one in tokens])
        np.testing.assert_allclose(together, alone, atol=1e-5)


def test_pairs_draw_together_what_people_take_together(folders: dict[str, Path]) -> None:
    """Texts of two kinds in a world where people stay with their kind: the next is nearer than before."""
    chance = np.random.default_rng(1)
    texts = [f"{good} {plain}" for good in tiny.GOOD for plain in tiny.PLAIN[:6]]
    texts += [f"{bad} {plain}" for bad in tiny.BAD for plain in tiny.PLAIN[:6]]
    half = len(texts) // 2
    kind = chance.integers(0, 2, 900)
    taken = np.full((900, 10), -1, np.int32)
    taken[:, -3:] = chance.integers(0, half, (900, 3)) + half * kind[:, None]
    following = (chance.integers(0, half, 900) + half * kind).astype(np.int32)
    made = body(folders["bert"])
    tokens = made.tokens(texts)

    def apart() -> float:
        rows = made.vectors(tokens).numpy()
        cosines = rows @ rows.T
        same = (np.arange(len(texts)) < half)[:, None] == (np.arange(len(texts)) < half)
        return float(cosines[same].mean() - cosines[~same].mean())

    before = apart()
    settings = ContrastSettings(steps=60, check=30, batch=16, kept=32, rate=2e-3)
    report = fit_pairs(made, Pairs(texts, taken, following, 700), settings)
    assert report.best > 0
    assert max(look.valid_auc for look in report.looks) > report.before + 0.1
    assert apart() > before + 0.1


def test_what_is_no_model_is_refused(tmp_path: Path, folders: dict[str, Path]) -> None:
    torch = load_torch("A test")
    with pytest.raises(ConfigError, match="There is no file"):
        load_body(torch, str(tmp_path / "none.gguf"))
    with pytest.raises(ConfigError, match="There is no folder"):
        load_body(torch, "no-such/model")
    (tmp_path / "m").mkdir()
    safetensors.numpy.save_file({"w": np.zeros(2, np.float32)}, tmp_path / "m" / "model.safetensors")
    (tmp_path / "m" / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="can't be read"):
        load_body(torch, str(tmp_path / "m"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(InvalidInput, match="is no text model of Palate's"):
        save_model(tmp_path / "other", body(folders["bert"]), "", "", {})
    save_model(tmp_path / "plain", body(folders["bert"]), "", "", {})
    with pytest.raises(ConfigError, match="tells no classes"):
        load_classifier(tmp_path / "plain")


def test_a_file_that_was_changed_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    save_model(tmp_path / "m", body(folders["bert"]), "", "", {})
    one = make_encoder(f"onnx:{tmp_path / 'm'}")
    before = one.name
    path = tmp_path / "m" / textmodel.NETWORK
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(Exception, match="isn't the file that"):
        make_encoder(f"onnx:{tmp_path / 'm'}").encode(["film"])
    assert before.startswith("onnx-m-")


def test_serving_a_fine_tuned_model_imports_no_torch(folders: dict[str, Path], tmp_path: Path) -> None:
    import subprocess

    save_model(tmp_path / "m", body(folders["bert"]), "", "", {})
    code = (
        "import sys; from palate.language import make_encoder\n"
        f"make_encoder({f'onnx:{tmp_path / chr(109)}'!r}).encode(['film'])\n"
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
