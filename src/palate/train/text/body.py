"""A language model as something to train: token ids in, one vector a text out, for each of the three classes.

BERT-class (reads both ways): the mean of the last layer over the tokens. GPT-class (reads forwards): the last token's.
T5-class (encoder and decoder): the mean over the encoder's last layer, which as a sentence's vector is better than what
the decoder gives, and costs half (Sentence-T5, Ni et al. 2021). No code that lies beside a model is run, and weights
are read from safetensors or GGUF alone.
"""

from __future__ import annotations

import contextlib
import copy
import json
import warnings
from collections.abc import Generator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from palate.errors import ConfigError, InvalidInput
from palate.language.readable import readable
from palate.language.transformer import find_folder
from palate.train.text.libraries import load_transformers, need
from palate.types import I64

Family = Literal["bert", "gpt", "t5"]
_NAMES: dict[Family, str] = {"bert": "BERT-class", "gpt": "GPT-class", "t5": "T5-class"}


class Body:
    """module: gives ``last_hidden_state``; whole: what is saved (the same but for some T5-class models).

    tokenizer: of the library tokenizers, as serving reads it. width: of a vector.
    """

    def __init__(self, torch: Any, family: Family, module: Any, whole: Any, tokenizer: Any, most: int) -> None:
        self.torch, self.module, self.whole, self.tokenizer = torch, module, whole, tokenizer
        self.family: Family = family
        self.max_tokens = most
        config = module.config
        self.width = int(getattr(config, "hidden_size", 0) or getattr(config, "d_model", 0))

    @property
    def kind(self) -> str:
        """In words."""
        return _NAMES[self.family]

    def copy(self) -> Body:
        """One that learns apart from this."""
        module, whole = copy.deepcopy((self.module, self.whole))
        return Body(self.torch, self.family, module, whole, self.tokenizer, self.max_tokens)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, as serving would make them; never none."""
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_tokens)
        return [self.tokenizer.encode(readable(text)).ids or [0] for text in texts]

    def pooled(self, ids: Any, mask: Any) -> Any:
        """(n, width) of (n, t) ids and mask, padded on the right; not of unit length."""
        hidden = self.module(input_ids=ids, attention_mask=mask).last_hidden_state
        if self.family == "gpt":
            return hidden[self.torch.arange(hidden.shape[0]), mask.sum(1) - 1]
        weight = mask[..., None].to(hidden.dtype)
        return (hidden * weight).sum(1) / weight.sum(1)

    def unit(self, ids: Any, mask: Any) -> Any:
        """The same, of unit length."""
        return self.torch.nn.functional.normalize(self.pooled(ids, mask), dim=-1)

    def batch(self, tokens: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        """Ids and mask as tensors."""
        longest = max(map(len, tokens))
        ids, mask = np.zeros((len(tokens), longest), np.int64), np.zeros((len(tokens), longest), np.int64)
        for row, one in enumerate(tokens):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        return self.torch.from_numpy(ids), self.torch.from_numpy(mask)

    def vectors(self, tokens: Sequence[Sequence[int]], batch: int = 32) -> Any:
        """(n, width) unit rows in order, without gradients and dropout."""
        order = np.argsort([len(one) for one in tokens], kind="stable")
        out = self.torch.zeros((len(tokens), self.width))
        training = self.module.training
        self.module.eval()
        with self.torch.no_grad():
            for start in range(0, len(order), batch):
                some: list[int] = [int(at) for at in order[start : start + batch]]
                out[some] = self.unit(*self.batch([tokens[at] for at in some]))
        self.module.train(training)
        return out


def load_body(torch: Any, model: str, max_tokens: int = 128, what: str = "Fine-tuning") -> Body:
    """The model in a folder, in the Hugging Face cache, or in a GGUF file.

    Errors: ``MissingExtra``; ``ConfigError`` where it isn't there, or can't be read, or has no fast tokeniser.
    """
    transformers = load_transformers(what)
    path = Path(model).expanduser()
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise ConfigError(f"There is no file {path}.", "--model")
        for package in ("gguf", "accelerate"):
            need(package, package, f"Reading {path.name}")
        folder, options = path.parent, {"gguf_file": path.name}
    else:
        folder, options = find_folder(model), {}
    options |= {"local_files_only": True, "trust_remote_code": False}
    with _quiet():
        try:
            config: Any = transformers.AutoConfig.from_pretrained(folder, **options)
            family = family_of(transformers, config)
            loader = _loader(transformers, config, family)
            whole = loader.from_pretrained(
                folder,
                dtype=torch.float32,
                **options | ({} if path.suffix.lower() == ".gguf" else {"use_safetensors": True}),
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
        except (OSError, ValueError, KeyError, ImportError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ConfigError(f"The model {model!r} can't be read: {said}", "--model") from None
    # Weights from GGUF are plain numbers by now, and may be written as such.
    whole.hf_quantizer = None
    if getattr(whole.config, "quantization_config", None) is not None:
        del whole.config.quantization_config
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ConfigError(f"The model {model!r} has no tokenizer.json, which serving needs.", "--model")
    module = whole if family != "t5" or type(whole).__name__.endswith("EncoderModel") else whole.get_encoder()
    limit = int(getattr(config, "max_position_embeddings", 0) or max_tokens)
    own: Any = import_module("tokenizers").Tokenizer.from_str(backend.to_str())
    return Body(torch, family, module, whole, own, min(max_tokens, limit))


def family_of(transformers: Any, config: Any) -> Family:
    """By what the library builds from such a configuration. Errors: ``InvalidInput`` for what reads no text."""
    auto: Any = import_module("transformers.models.auto.modeling_auto")
    kind = str(config.model_type)
    names = " ".join(getattr(config, "architectures", None) or ())
    if getattr(config, "is_encoder_decoder", False) or kind in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        return "t5"
    if "CausalLM" in names or "LMHeadModel" in names:
        return "gpt"
    if kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "bert"
    if kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return "gpt"
    raise InvalidInput(f"A model of the kind {kind!r} is neither BERT-, GPT- nor T5-class.", "--model")


def _loader(transformers: Any, config: Any, family: Family) -> Any:
    if family == "t5" and hasattr(transformers, "T5EncoderModel") and config.model_type == "t5":
        return transformers.T5EncoderModel
    return transformers.AutoModel


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Warnings of libraries are theirs, not the user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def save_body(body: Body, folder: Path) -> None:
    """Write ``body`` into an existing folder: ONNX with its pooling, the tokeniser, and where other libraries read it
    too, safetensors with what sentence-transformers wants to know. Cost: a second for a small model.

    Errors: ``ConfigError`` where the network can't be said in ONNX.
    """
    body.tokenizer.no_padding()
    body.tokenizer.no_truncation()
    body.tokenizer.save(str(folder / "tokenizer.json"))
    export(body, folder / "model.onnx")
    if body.whole is None:
        return
    with _quiet():
        body.whole.save_pretrained(folder, safe_serialization=True)
        transformers: Any = import_module("transformers")
        specials = _specials(body.tokenizer)
        transformers.PreTrainedTokenizerFast(tokenizer_object=body.tokenizer, **specials).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    last = body.family == "gpt"
    pooling = {
        "word_embedding_dimension": body.width, "pooling_mode_cls_token": False, "pooling_mode_max_tokens": False,
        "pooling_mode_mean_tokens": not last, "pooling_mode_lasttoken": last,
    }  # fmt: skip
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    kinds = ("Transformer", "Pooling", "Normalize")
    paths = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": body.max_tokens}))


def _specials(tokenizer: Any) -> dict[str, str]:
    """Names that transformers has for the tokens that padding and classes use, where the tokeniser has them."""
    known = {
        "pad_token": ("[PAD]", "<pad>"),
        "unk_token": ("[UNK]", "<unk>"),
        "cls_token": ("[CLS]",),
        "sep_token": ("[SEP]",),
    }
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    found = {key: next((one for one in names if one in vocabulary), None) for key, names in known.items()}
    if found["pad_token"] is None:
        found["pad_token"] = next((one for one in ("</s>", "<|endoftext|>", "<|im_end|>") if one in vocabulary), None)
    return {key: name for key, name in found.items() if name is not None}


def export(body: Body, path: Path) -> None:
    """The network with its pooling as ONNX, compared with the original on texts of other lengths than it was traced
    with. Errors: ``ConfigError`` where it can't be said in ONNX, or says something else there."""
    torch = body.torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = body.module

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return body.pooled(input_ids, attention_mask)

    network = Pooled().eval()
    size = max(8, min(64, body.tokenizer.get_vocab_size() - 1))
    sample = body.batch([list(range(1, 8)), list(range(1, 5))])
    axes = {"input_ids": {0: "n", 1: "t"}, "attention_mask": {0: "n", 1: "t"}, "pooled": {0: "n"}}
    with _quiet(), torch.no_grad():
        try:
            torch.onnx.export(
                network, sample, str(path), input_names=["input_ids", "attention_mask"], output_names=["pooled"],
                dynamic_axes=axes, opset_version=17, dynamo=False,
            )  # fmt: skip
        except (RuntimeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ConfigError(f"This {body.kind} model can't be written as ONNX: {said}", "--model") from None
        need("onnxruntime", "onnxruntime", "Checking the exported model", "onnx")
        from palate.language.minilm import session

        check = session(path, 1)
        for lengths in ((1,), (11, 3, 5)):
            ids, mask = body.batch([[1 + at % (size - 1) for at in range(length)] for length in lengths])
            said = check.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]
            if not np.allclose(said, network(ids, mask).numpy(), atol=1e-3, rtol=1e-3):
                raise ConfigError(f"This {body.kind} model doesn't survive being written as ONNX.", "--model")


def blocks_of(module: Any) -> tuple[Any, str, Any]:
    """The list of a model's blocks, the module that holds it and its name there: the longest list there is."""
    best: tuple[Any, str, Any] | None = None
    for holder in module.modules():
        for name, child in holder.named_children():
            if type(child).__name__ == "ModuleList" and (best is None or len(child) > len(best[2])):
                best = holder, name, child
    if best is None:
        raise InvalidInput("The model has no list of layers that could be shortened.", "--model")
    return best


def hold(body: Body, layers: int) -> None:
    """Let the lowest ``layers`` blocks, and the vectors of tokens and places below them, stay as they are.

    Errors: ``InvalidInput`` where fewer than one block would be left to learn."""
    if layers <= 0:
        return
    _, _, blocks = blocks_of(body.module)
    if layers >= len(blocks):
        raise InvalidInput(
            f"The model has {len(blocks)} layers; --hold-layers must lie between 0 and {len(blocks) - 1}.",
            "--hold-layers",
        )
    above = {id(parameter) for block in blocks[layers:] for parameter in block.parameters()}
    listed = {id(parameter) for block in blocks for parameter in block.parameters()}
    tokens = id(body.module.get_input_embeddings().weight)
    for name, parameter in body.module.named_parameters():
        key = id(parameter)
        if key == tokens or "embed" in name.split(".")[0] or (key in listed and key not in above):
            parameter.requires_grad_(False)


def set_dropout(body: Body, share: float) -> None:
    """Of every part of the model that has one, for as long as this object lives."""
    for module in body.module.modules():
        if isinstance(module, body.torch.nn.Dropout):
            module.p = share
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = share


def buckets(tokens: Sequence[Sequence[int]], rows: I64, batch: int, chance: np.random.Generator) -> list[I64]:
    """``rows`` in batches of texts of about one length, the batches in random order: little is padded."""
    shuffled = chance.permutation(rows)
    pool = batch * 32
    made: list[I64] = []
    for start in range(0, len(shuffled), pool):
        some = shuffled[start : start + pool]
        some = some[np.argsort([len(tokens[int(at)]) for at in some], kind="stable")]
        made += [some[at : at + batch] for at in range(0, len(some), batch)]
    order: list[int] = chance.permutation(len(made)).tolist()
    return [made[at] for at in order]
