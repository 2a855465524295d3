"""Low-rank adaptation (Hu et al. 2021): W stays, W + (α/r) B A is learnt, and in the end W is what it came to.

Every linear layer inside the blocks of a model gets one. Merged, the model has its own shape again, so that whatever
reads it needs to know nothing of this.
"""

from __future__ import annotations

import math
from typing import Any


class Lora:
    """Adapters around the linear layers of ``module``, whose own parameters stop learning. rank r; scale α/r.

    B starts at zero, so that nothing changes at first. ``parameters`` are what learns; ``merge`` ends it.
    """

    def __init__(self, torch: Any, module: Any, rank: int = 8, scale: float = 2.0) -> None:
        self._torch, self._scale = torch, scale
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        self._pairs: list[tuple[Any, Any, Any, bool]] = []
        self._hooks: list[Any] = []
        for layer in list(module.modules()):
            turned = type(layer).__name__ == "Conv1D"  # GPT-2's linear layer, whose weight is (in, out)
            if not turned and not isinstance(layer, torch.nn.Linear):
                continue
            wide, tall = layer.weight.shape if turned else layer.weight.shape[::-1]
            a = torch.nn.Parameter(torch.randn(rank, wide) / math.sqrt(wide))
            b = torch.nn.Parameter(torch.zeros(tall, rank))
            self._pairs.append((layer, a, b, turned))
            self._hooks.append(layer.register_forward_hook(self._hook(a, b)))

    @property
    def parameters(self) -> list[Any]:
        """What learns."""
        return [one for _, a, b, _ in self._pairs for one in (a, b)]

    def _hook(self, a: Any, b: Any) -> Any:
        def add(layer: Any, given: tuple[Any, ...], out: Any) -> Any:
            return out + (given[0] @ a.T) @ b.T * self._scale

        return add

    def merge(self) -> None:
        """Add what was learnt to the layers' own weights, and take the adapters off."""
        for hook in self._hooks:
            hook.remove()
        with self._torch.no_grad():
            for layer, a, b, turned in self._pairs:
                change = (b @ a) * self._scale
                layer.weight += change.T if turned else change
        self._pairs, self._hooks = [], []
