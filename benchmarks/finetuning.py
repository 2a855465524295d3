"""What fine-tuning and compressing language models comes to, on labelled sentences: each class of models, each kind of
compression.

``python -m benchmarks.finetuning TABLE.csv --work FOLDER [--minilm FOLDER] [--gguf FILE] [--only STEP]…``, with the
extra ``train``. TABLE has the columns ``text`` and ``label``; the figures in docs/language.md are those of
sentence_polarity. Every step is a command of ``palate`` in a process of its own, bounded by ``--minutes``, and prints
its line as JSON: what was learnt from, in how many seconds, accuracy with its interval; or size, speed and quality
before and after. What a step needs of another one (``int8`` the fine-tuned ``minilm``) it finds in FOLDER.

The T5-class model is random: no package has the weights of one. It is an encoder–decoder of T5's own shape, 3 layers,
256 components, the tokens of ``minilm``, so that its accuracy is what the labels alone teach it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

STEPS = ("minilm", "smollm2", "t5", "int8", "layers", "pruned", "static")


class Job(NamedTuple):
    """Where everything lies, and for how long a step may learn."""

    table: Path
    work: Path
    minilm: str
    gguf: str
    minutes: float


def random_t5(folder: Path, tokens: Path) -> Path:
    """The files of an encoder–decoder with random weights and the tokeniser ``tokens``."""
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    library: Any = import_module("tokenizers")
    tokenizer = library.Tokenizer.from_file(str(tokens))
    torch.manual_seed(1)
    config = transformers.T5Config(
        vocab_size=tokenizer.get_vocab_size(), d_model=256, d_kv=64, d_ff=1024, num_layers=3, num_heads=4,
        dropout_rate=0.1,
    )  # fmt: skip
    transformers.T5ForConditionalGeneration(config).save_pretrained(folder)
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.save_pretrained(folder)
    return folder


def options(step: str, job: Job) -> list[str]:
    """The command of ``palate`` that is ``step``."""
    tuned, out = str(job.work / "minilm.model"), str(job.work / f"{step}.model")
    table, most = ["--csv", str(job.table)], ["--minutes", f"{job.minutes:g}"]
    learns = ["finetune", *table, "--max-tokens", "64", *most, "--out", out, "--model"]
    if step == "minilm":
        return [*learns, job.minilm, "--epochs", "2", "--rate", "1e-4", "--hold-tokens"]
    if step == "smollm2":
        return [*learns, job.gguf, "--rows", "700", "--epochs", "2"]
    if step == "t5":
        folder = job.work / "t5"
        if not (folder / "config.json").is_file():
            from palate.cli.finetune import base_of

            random_t5(folder, Path(base_of(job.minilm)) / "tokenizer.json")
        return [*learns, str(folder), "--epochs", "4", "--rate", "1e-3"]
    makes = ["compress", tuned, "--to", step, *table, "--out", out, "--force"]
    more = {"layers": ["--layers", "3"], "pruned": ["--heads", ".25", "--neurons", ".25"]}
    return [*makes, *more[step], *most] if step in more else makes


def told(step: str, answer: Any) -> dict[str, Any]:
    """The figures of a step, of what its command printed."""
    if "report" in answer:
        report = answer["report"]
        scores = report["scores"]
        return {
            "family": report["family"], "parameters": report["parameters"], "learnt": report["learnt"],
            "rows": report["rows"], "epochs": [round(one["valid_accuracy"], 4) for one in report["epochs"]],
            "best": report["best"], "cut": report["cut"], "seconds": report["seconds"],
            "accuracy": [round(scores[name], 4) for name in ("accuracy", "low", "high")], "f1": round(scores["f1"], 4),
        }  # fmt: skip
    before, after = answer["before"], answer["after"]
    return {
        "mb": [before["mb"], after["mb"]],
        "texts_per_second": [before["texts_per_second"], after["texts_per_second"]],
        "quality": {one["measure"]: [round(one[name], 4) for name in ("before", "after")] for one in answer["quality"]},
        "losses": answer["losses"], "verdict": answer["verdict"], "details": answer["details"],
    }  # fmt: skip


def run(step: str, job: Job) -> dict[str, Any]:
    """One step; its command, seconds and figures, or what it said when it failed."""
    command = options(step, job)
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "palate", *command, "--json"], capture_output=True, text=True)
    found: dict[str, Any] = {"step": step, "command": " ".join(["palate", *command])}
    found["wall"] = round(time.perf_counter() - started, 1)
    if not done.stdout.strip():
        return {**found, "failed": done.stderr.strip()[-500:]}
    return {**found, **told(step, json.loads(done.stdout))}


def main(asked: list[str] | None = None, step: Callable[[str, Job], dict[str, Any]] = run) -> int:
    """A line for each step. step: what does it, for tests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minilm", default="minilm")
    parser.add_argument("--gguf", default="")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", action="append", choices=STEPS)
    given = parser.parse_args(asked)
    given.work.mkdir(parents=True, exist_ok=True)
    job = Job(given.table, given.work, given.minilm, given.gguf, given.minutes)
    for name in given.only or [one for one in STEPS if one != "smollm2" or given.gguf]:
        sys.stdout.write(json.dumps(step(name, job)) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
