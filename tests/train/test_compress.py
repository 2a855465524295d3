"""Compression: int8, static, pruned, fewer layers; each keeps what it must, and what loses too much is refused."""

from __future__ import annotations

import shutil
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from palate.errors import CorruptArtefact, InvalidInput
from palate.language import Encoder, make_encoder, textmodel
from palate.language.hashing import HashingEncoder
from palate.language.readable import unit
from palate.language.textmodel import TextModel
from palate.testing.encoder import TEXTS, EncoderContract
from palate.train.compress.distil import DistilSettings, blocks_of, distil, fewer_layers
from palate.train.compress.judge import Quality, agreement, refusal
from palate.train.compress.prune import Importance, importance, pruned
from palate.train.compress.quantise import quantise
from palate.train.compress.static import fit_static, learn_tokens, packed, shares
from palate.train.text.body import Body, load_body
from palate.train.text.libraries import load_torch
from palate.train.text.save import save_model
from tests.train.text import tiny

pytestmark = [
    pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs the package tokenizers"),
    pytest.mark.filterwarnings("ignore"),
]


def write_static(folder: Path, tokenizer: Any, vectors: Any) -> Path:
    def fill(place: Path) -> None:
        tokenizer.save(str(place / textmodel.TOKENIZER))
        (place / textmodel.TOKENS).write_bytes(safetensors.numpy.save(packed(vectors)))

    textmodel.write(folder, TextModel(kind="static", width=vectors.shape[1]), fill)
    return folder


def corpus(n: int = 400) -> list[str]:
    return [f"{text} number {n}" for n, text in enumerate(tiny.sentences(n)[0])]


class TestStaticContract(EncoderContract):
    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _made(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        folder = tmp_path_factory.mktemp("static") / "m"
        tokens = learn_tokens([*corpus(), *TEXTS], 600)
        student = fit_static(HashingEncoder(64), tokens, corpus(), TEXTS[:4], 48)
        cls.made = make_encoder(f"static:{write_static(folder, tokens, student.vectors)}")

    made: Encoder

    def encoder(self) -> Encoder:
        return self.made


class Additive:
    """A teacher that a static student can be equal to: each word has a vector, known only to it."""

    name, dim = "additive", 16

    def __init__(self, words: list[str]) -> None:
        chance = np.random.default_rng(4)
        self.words = {word: chance.normal(size=16).astype(np.float32) * chance.uniform(0.1, 2) for word in words}

    def encode(self, texts: list[str]) -> Any:
        rows = [sum((self.words.get(word, np.zeros(16)) for word in text.split()), np.zeros(16)) for text in texts]
        return unit(np.array(rows, np.float32))


def test_a_student_of_a_sum_of_words_is_its_teacher() -> None:
    library: Any = import_module("tokenizers")
    words = [*tiny.GOOD, *tiny.BAD, *tiny.PLAIN]
    tokens = library.Tokenizer(
        library.models.WordLevel({word: at for at, word in enumerate(["<unk>", *words])}, unk_token="<unk>")
    )
    tokens.pre_tokenizer = library.pre_tokenizers.Whitespace()
    texts = tiny.sentences(600)[0]
    teacher = Additive(words)
    student = fit_static(teacher, tokens, texts[:500], texts[500:], 16)
    assert student.cosine > 0.99
    said = unit(shares(tokens, texts[500:], len(student.vectors)) @ student.vectors)
    assert agreement(teacher.encode(texts[500:]), said) > 0.98
    narrow = fit_static(teacher, tokens, texts[:500], texts[500:], 4)
    assert narrow.vectors.shape == (len(student.vectors), 4)
    np.testing.assert_allclose(narrow.basis.T @ narrow.basis, np.eye(4), atol=1e-5)


def test_a_token_that_no_text_had_keeps_the_teachers_meaning() -> None:
    library: Any = import_module("tokenizers")
    words = [*tiny.GOOD, *tiny.BAD, *tiny.PLAIN, "unheard"]
    tokens = library.Tokenizer(
        library.models.WordLevel({word: at for at, word in enumerate(["<unk>", *words])}, unk_token="<unk>")
    )
    tokens.pre_tokenizer = library.pre_tokenizers.Whitespace()
    texts = tiny.sentences(200)[0]
    teacher = Additive(words)
    student = fit_static(teacher, tokens, texts[:150], texts[150:], 16)
    own = student.vectors[len(words)] @ student.basis.T
    assert float(unit(own[None])[0] @ teacher.encode(["unheard"])[0]) > 0.99


def test_packed_vectors_are_off_by_little() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 32)).astype(np.float32)
    arrays = packed(vectors)
    assert arrays["vectors"].dtype == np.int8
    back = arrays["vectors"].astype(np.float32) * arrays["scale"][:, None]
    assert (unit(back) * unit(vectors)).sum(axis=1).min() > 0.999
    assert np.isfinite(packed(np.zeros((2, 3), np.float32))["scale"]).all()


def test_a_spoiled_student_is_refused(tmp_path: Path) -> None:
    tokens = learn_tokens(corpus(60), 300)
    count = max(tokens.get_vocab().values()) + 1
    folder = write_static(tmp_path / "few", tokens, np.ones((count - 1, 8), np.float32))
    with pytest.raises(CorruptArtefact, match="fewer vectors than there are tokens"):
        make_encoder(f"static:{folder}").encode(["film"])
    folder = write_static(tmp_path / "m", tokens, np.ones((count, 8), np.float32))
    one = make_encoder(f"static:{folder}")
    raw = (folder / textmodel.TOKENS).read_bytes()
    (folder / textmodel.TOKENS).write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(CorruptArtefact, match="isn't the file that"):
        one.encode(["film"])
    (folder / textmodel.TOKENS).unlink()
    with pytest.raises(CorruptArtefact, match=r"lacks tokens\.safetensors"):
        make_encoder(f"static:{folder}")


def test_other_vectors_have_another_name(tmp_path: Path) -> None:
    tokens = learn_tokens(corpus(60), 300)
    count = max(tokens.get_vocab().values()) + 1
    ones = [write_static(tmp_path / name / "m", tokens, np.full((count, 4), value, np.float32))
            for name, value in (("a", 1.0), ("b", 1.0), ("c", 2.0))]  # fmt: skip
    names = [make_encoder(f"static:{folder}").name for folder in ones]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(
    ("found", "limit", "kept"),
    [
        ([Quality("agreement", 1.0, 0.94, 0.0)], 0.05, False),
        ([Quality("agreement", 1.0, 0.96, 0.0)], 0.05, True),
        ([Quality("agreement", 1.0, 0.50, 0.0), Quality("ranking", 0.62, 0.63, 0.5)], 0.05, True),
        ([Quality("agreement", 1.0, 0.99, 0.0), Quality("ranking", 0.62, 0.61, 0.5)], 0.05, False),
        ([Quality("ranking", 0.62, 0.62, 0.5), Quality("classes", 0.8, 0.75, 0.5)], 0.1, False),
        ([Quality("agreement", 1.0, float("nan"), 0.0)], 0.5, False),
    ],
)
def test_what_loses_more_than_the_limit_is_refused(found: list[Quality], limit: float, kept: bool) -> None:
    verdict = refusal(found, limit)
    assert verdict.kept is kept
    assert bool(verdict.why) is not kept


def test_agreement_is_of_order_not_of_scale() -> None:
    rows = unit(np.random.default_rng(1).normal(size=(60, 8)).astype(np.float32))
    turned = rows @ np.linalg.qr(np.random.default_rng(2).normal(size=(8, 8)))[0]
    assert agreement(rows, turned.astype(np.float32)) > 0.9999
    noise = unit(np.random.default_rng(3).normal(size=(60, 8)).astype(np.float32))
    assert abs(agreement(rows, noise)) < 0.2


@tiny.torched
class TestNetworks:
    @pytest.fixture(scope="class")
    @staticmethod
    def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tiny.model(tmp_path_factory.mktemp("net") / "bert", "bert", 0.3)

    @pytest.fixture
    def body(self, folder: Path) -> Body:
        return load_body(load_torch("A test"), str(folder), 32)

    @pytest.mark.skipif(
        find_spec("onnx") is None or find_spec("sympy") is None, reason="int8 needs the packages onnx and sympy"
    )
    def test_int8_is_smaller_and_says_nearly_the_same(self, body: Body, tmp_path: Path) -> None:
        save_model(tmp_path / "whole", body, "", "", {})

        def fill(place: Path) -> None:
            quantise(tmp_path / "whole" / textmodel.NETWORK, place / textmodel.NETWORK)
            shutil.copy(tmp_path / "whole" / textmodel.TOKENIZER, place)

        textmodel.write(tmp_path / "small", TextModel(kind="onnx", width=body.width, max_tokens=32), fill)
        texts = tiny.sentences(80)[0]
        before, after = (make_encoder(f"onnx:{tmp_path / name}").encode(texts) for name in ("whole", "small"))
        assert (before * after).sum(axis=1).mean() > 0.9  # of a network this small, whose weights are far apart
        assert (tmp_path / "small" / textmodel.NETWORK).stat().st_size < (
            tmp_path / "whole" / textmodel.NETWORK
        ).stat().st_size

    def test_fewer_layers_learn_what_the_teacher_says(self, body: Body) -> None:
        texts = tiny.sentences(160)[0]
        rows = body.vectors(body.tokens(texts)).numpy()
        student = fewer_layers(body, 1)
        assert len(blocks_of(student.module)[2]) == 1
        assert len(blocks_of(body.module)[2]) == 3
        report = distil(
            rows[:130], student, texts[:130], texts[130:], rows[130:], DistilSettings(epochs=3, rate=2e-3, batch=16)
        )
        assert max(report.cosines) > report.cosines[0]
        found = (student.vectors(student.tokens(texts[130:])).numpy() * rows[130:]).sum(axis=1).mean()
        assert found == pytest.approx(max(report.cosines), abs=1e-3)
        with pytest.raises(InvalidInput, match="--layers must lie between 1 and 2"):
            fewer_layers(body, 3)

    def test_heads_and_neurons_that_say_nothing_are_the_first_to_go(self, body: Body, tmp_path: Path) -> None:
        """Without output weights a head or neuron gives nothing: the rest says the same but for rounding."""
        layers = body.module.encoder.layer
        with body.torch.no_grad():
            for layer in layers:
                layer.attention.output.dense.weight[:, 8:16] = 0.0
                layer.output.dense.weight[:, ::3] = 0.0
        texts = tiny.sentences(40)[0]
        before = body.vectors(body.tokens(texts)).numpy()
        found = importance(body, texts)
        assert (found.heads.argmin(axis=1) == 1).all()
        assert (found.neurons[:, ::3] == 0).all()
        student = pruned(body, found, 0.25, 1 / 3)
        assert student.module.encoder.layer[0].attention.self.query.weight.shape == (24, 32)
        assert student.module.encoder.layer[0].output.dense.weight.shape == (32, 32)
        np.testing.assert_allclose(student.vectors(student.tokens(texts)).numpy(), before, atol=1e-5)
        save_model(tmp_path / "m", student, "", "", {})
        np.testing.assert_allclose(make_encoder(f"onnx:{tmp_path / 'm'}").encode(texts), before, atol=1e-4)
        np.testing.assert_allclose(body.vectors(body.tokens(texts)).numpy(), before, atol=1e-6)

    def test_other_shapes_of_models_are_not_pruned(self, tmp_path: Path) -> None:
        gpt = load_body(load_torch("A test"), str(tiny.model(tmp_path / "gpt", "gpt2")), 32)
        with pytest.raises(InvalidInput, match="BERT's own shape; this is gpt2"):
            pruned(gpt, Importance(np.ones((2, 4)), np.ones((2, 8))), 0.5, 0.5)
