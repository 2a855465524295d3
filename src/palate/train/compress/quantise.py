"""int8 weights for a network in ONNX: a scale an output channel, activations scaled as they come (dynamic).

Weights of matrix products and of token tables become int8 (Jacob et al. 2018); four times smaller. Cost: seconds.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from palate.errors import ConfigError
from palate.train.text.libraries import need

_WHAT = "Compressing to int8"


def quantise(source: Path, target: Path) -> None:
    """Write ``source`` with int8 weights to ``target``. Errors: ``MissingExtra``; ``ConfigError`` where it can't be."""
    for package in ("onnx", "onnxruntime"):
        need(package, package, _WHAT)
    need("sympy", "sympy", _WHAT)
    onnx: Any = import_module("onnx")
    library: Any = import_module("onnxruntime.quantization")
    shapes: Any = import_module("onnxruntime.quantization.shape_inference")
    level = logging.getLogger().level
    with tempfile.TemporaryDirectory(prefix="palate-") as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ready = Path(place) / "ready.onnx"
        try:
            logging.getLogger().setLevel(logging.ERROR)
            shapes.quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
            library.quantize_dynamic(
                str(ready), str(target), per_channel=True, weight_type=library.QuantType.QInt8,
                extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
            )  # fmt: skip
        except (ValueError, RuntimeError, KeyError) as error:
            raise ConfigError(f"{source} can't be made int8: {str(error).splitlines()[0][:200]}", "--to") from None
        finally:
            logging.getLogger().setLevel(level)
