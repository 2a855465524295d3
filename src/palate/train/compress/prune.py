"""Structured pruning of a BERT-class model: attention heads and feed-forward neurons, by what they matter.

Importance of a head or neuron is |a · ∂L/∂a| summed over texts, a being what it gives to the next linear layer and
L 1 − cos to what the model said (Molchanov et al. 2017; Michel et al. 2019), its gate held at 1. Since at first student
and teacher agree and L has no slope, L is taken under dropout. The least important go, in every layer the same share,
so that the matrices really shrink. ``distil`` heals it after.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from palate.errors import InvalidInput
from palate.train.text.body import Body
from palate.types import F64


class Importance(NamedTuple):
    """heads: (layers, heads); neurons: (layers, inner)."""

    heads: F64
    neurons: F64


def importance(body: Body, texts: list[str], batch: int = 32, seed: int = 1) -> Importance:
    """Of ``body`` on ``texts``; some hundreds are enough. Errors: ``InvalidInput`` for another kind of model."""
    layers = _layers(body)
    torch = body.torch
    tokens = body.tokens(texts)
    before = body.vectors(tokens)
    heads = np.zeros((len(layers), _heads(body)))
    neurons = np.zeros((len(layers), layers[0].output.dense.in_features))
    given: dict[tuple[int, str], Any] = {}

    def watch(key: tuple[int, str]) -> Any:
        def keep(_: Any, inputs: tuple[Any, ...]) -> None:
            inputs[0].retain_grad()
            given[key] = inputs[0]

        return keep

    hooks: list[Any] = []
    for at, layer in enumerate(layers):
        hooks.append(layer.attention.output.dense.register_forward_pre_hook(watch((at, "heads"))))
        hooks.append(layer.output.dense.register_forward_pre_hook(watch((at, "neurons"))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body.module.train()
        for parameter in body.module.parameters():
            parameter.requires_grad_(True)
        for start in range(0, len(tokens), batch):
            some = tokens[start : start + batch]
            body.module.zero_grad()
            said = body.unit(*body.batch(some))
            (1.0 - (said * before[start : start + len(some)]).sum(1)).sum().backward()
            for (at, kind), value in given.items():
                worth = (value * value.grad).detach()
                if kind == "heads":
                    split = worth.reshape(*worth.shape[:2], heads.shape[1], -1).sum((1, 3))
                    heads[at] += split.abs().sum(0).double().numpy()
                else:
                    neurons[at] += worth.sum(1).abs().sum(0).double().numpy()
        body.module.zero_grad()
        body.module.eval()
    for hook in hooks:
        hook.remove()
    return Importance(heads, neurons)


def pruned(body: Body, found: Importance, heads: float, neurons: float) -> Body:
    """A copy without the least important share of heads and of neurons of every layer; at least one of each stays.

    It can be written as ONNX; other libraries don't know such shapes."""
    student = body.copy()
    torch = student.torch
    count, inner = found.heads.shape[1], found.neurons.shape[1]
    size = student.width // count
    keep_heads = max(1, count - round(count * heads))
    keep_neurons = max(1, inner - round(inner * neurons))
    for at, layer in enumerate(_layers(student)):
        which = np.sort(np.argsort(-found.heads[at], kind="stable")[:keep_heads])
        rows = torch.from_numpy((which[:, None] * size + np.arange(size)).ravel())
        own = layer.attention.self
        for name in ("query", "key", "value"):
            setattr(own, name, _narrow(torch, getattr(own, name), rows, 0))
        own.num_attention_heads, own.all_head_size = keep_heads, keep_heads * size
        layer.attention.output.dense = _narrow(torch, layer.attention.output.dense, rows, 1)
        best = torch.from_numpy(np.sort(np.argsort(-found.neurons[at], kind="stable")[:keep_neurons]))
        layer.intermediate.dense = _narrow(torch, layer.intermediate.dense, best, 0)
        layer.output.dense = _narrow(torch, layer.output.dense, best, 1)
    student.whole = None
    return student


def _narrow(torch: Any, linear: Any, kept: Any, axis: int) -> Any:
    """A linear layer with only some outputs (axis 0) or inputs (axis 1)."""
    weight = linear.weight.detach().index_select(axis, kept)
    made = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(linear.bias.detach()[kept] if axis == 0 else linear.bias.detach())
    return made


def _heads(body: Body) -> int:
    return int(body.module.config.num_attention_heads)


def _layers(body: Body) -> Any:
    layers = getattr(getattr(body.module, "encoder", None), "layer", None)
    if layers is None or not hasattr(layers[0], "attention") or not hasattr(layers[0].attention, "self"):
        raise InvalidInput(
            f"Heads and neurons are pruned from models of BERT's own shape; this is {body.module.config.model_type}.",
            "--to",
        )
    return layers
