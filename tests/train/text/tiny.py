"""Tiny models of each class with random weights, a tokeniser of their own, and a table whose classes can be told."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NEEDED = ("torch", "transformers", "tokenizers", "onnxruntime")
LACKING = [name for name in NEEDED if find_spec(name) is None]
torched = pytest.mark.skipif(bool(LACKING), reason=f"fine-tuning needs {', '.join(LACKING)}, not installed here")

GOOD = ("lovely", "splendid", "moving", "funny", "warm")
BAD = ("dull", "silly", "cold", "tedious", "awful")
PLAIN = ("film", "story", "cast", "music", "scene", "ending", "a", "the", "with", "and")


def sentences(n: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """n distinct texts of plain words with one or two that say the class, and their labels."""
    chance = np.random.default_rng(seed)
    texts: dict[str, str] = {}
    while len(texts) < n:
        kind = len(texts) % 2
        words = [*chance.choice(PLAIN, 5), *chance.choice(GOOD if kind else BAD, 2)]
        texts.setdefault(" ".join(chance.permutation(words).tolist()), "good" if kind else "bad")
    return list(texts), list(texts.values())


def table(path: Path, n: int = 240, seed: int = 1) -> Path:
    """The same as a CSV."""
    texts, labels = sentences(n, seed)
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in zip(texts, labels, strict=True)))
    return path


def tokenizer(folder: Path, specials: tuple[str, ...]) -> int:
    """A word tokeniser, as transformers reads it; how many words it has. specials: unknown, padding, then the rest."""
    library: Any = import_module("tokenizers")
    transformers: Any = import_module("transformers")
    words = [*specials, *dict.fromkeys([*GOOD, *BAD, *PLAIN])]
    made = library.Tokenizer(
        library.models.WordLevel({word: at for at, word in enumerate(words)}, unk_token=specials[0])
    )
    made.normalizer = library.normalizers.Lowercase()
    made.pre_tokenizer = library.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, unk_token=specials[0], pad_token=specials[1])
    fast.save_pretrained(folder)
    return len(words)


def model(folder: Path, kind: str, spread: float = 0.02) -> Path:
    """The files of a ``bert`` (its weights so spread), ``gpt`` (Llama's shape), ``gpt2`` or ``t5``, all random."""
    import torch
    import transformers

    folder.mkdir(parents=True)
    size = tokenizer(folder, ("<unk>", "<pad>"))
    torch.manual_seed(1)
    if kind == "bert":
        made: Any = transformers.BertModel(
            transformers.BertConfig(
                vocab_size=size, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
                max_position_embeddings=64, initializer_range=spread,
            )
        )  # fmt: skip
    elif kind == "gpt":
        made = transformers.LlamaForCausalLM(
            transformers.LlamaConfig(
                vocab_size=size, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                intermediate_size=48, max_position_embeddings=64,
            )
        )  # fmt: skip
    elif kind == "gpt2":
        made = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=64)
        )
    else:
        made = transformers.T5ForConditionalGeneration(
            transformers.T5Config(vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
        )
    made.save_pretrained(folder)
    return folder
