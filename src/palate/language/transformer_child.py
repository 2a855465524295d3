"""``python -m palate.language.transformer_child FOLDER THREADS MOST_TOKENS``: the process that holds PyTorch.

Requests on standard input: a length (4 bytes, little-endian) and MessagePack ``[are these queries, [texts]]``; answers
on standard output: rows, components (4 bytes each), then float32. It ends when its standard input does.
"""

from __future__ import annotations

import os
import struct
import sys
from importlib import import_module
from typing import Any, BinaryIO

import msgspec
import numpy as np

_Request = tuple[bool, list[str]]


def main(folder: str, threads: int, most: int, source: BinaryIO, target: BinaryIO) -> int:
    """Serve until ``source`` ends."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(threads)}
    torch: Any = import_module("torch")
    torch.set_num_threads(threads)
    library: Any = import_module("sentence_transformers")
    model: Any = library.SentenceTransformer(
        folder,
        device="cpu",
        trust_remote_code=False,
        local_files_only=True,
        model_kwargs={"use_safetensors": True},
    )
    model.max_seq_length = min(most, int(model.max_seq_length or most))
    prompts: dict[str, str] = dict(getattr(model, "prompts", None) or {})
    while len(head := source.read(4)) == 4:
        ask, texts = msgspec.msgpack.decode(source.read(struct.unpack("<I", head)[0]), type=_Request)
        prompt = next(
            (prompts[name] for name in (("query",) if ask else ("passage", "document")) if name in prompts), ""
        )
        rows = np.ascontiguousarray(
            model.encode(texts, prompt=prompt or None, batch_size=len(texts), show_progress_bar=False), np.float32
        )
        target.write(struct.pack("<II", *rows.shape) + rows.tobytes())
        target.flush()
    return 0


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not get between the rows
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.stdin.buffer, answers))
