"""The compiled towers against their formulas, written again in NumPy with whole windows at once."""

from __future__ import annotations

import numpy as np
import pytest

from palate.towers.window import BUCKETS, buckets, levels, window
from tests.towers.made import life, lstm, ncf, reading, sasrec


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def entries(history, limit):
    """vectors, times, levels, gaps of the window, oldest first."""
    places, _ = window(history.items, history.ts, history.weights, history.vectors, limit)
    times = history.ts[places]
    gaps = np.r_[BUCKETS, buckets(np.diff(times))]
    return history.vectors[places].astype(np.float64), times, levels(history.weights[places]), gaps


def gated(a, history):
    """Hochreiter & Schmidhuber's cell with a forget gate, one entry after another."""
    x, times, how, gaps = entries(history, 64)
    width = a["out"].shape[1]
    h = c = np.zeros(width)
    for vector, gap, strength in zip(x, gaps, how, strict=True):
        given = np.r_[vector + a["gap"][gap] + a["level"][strength], h]
        i, f, g, o = (a["gates"] @ given + a["gates_bias"]).reshape(4, width)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    when = buckets(np.array(history.now - times[-1]))
    return np.r_[a["out"] @ (h * (1 + a["scale"][when])) + a["shift"][when], 1.0]


def norm(x, gains):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gains[0] + gains[1]


def attention(a, block, asked, x, since, heads):
    """(n, h) of all queries at once, masked to what lies before."""
    n, h = x.shape
    e = h // heads
    q = norm(asked, a["norms"][2 * block]) @ a["queries"][block].T + a["queries_bias"][block]
    kv = norm(x, a["norms"][2 * block]) @ a["both"][block].T + a["both_bias"][block]
    apart = np.arange(n)[:, None] - np.arange(n)[None, :]
    seen = np.empty((n, h))
    for head in range(heads):
        own = slice(head * e, (head + 1) * e)
        logits = q[:, own] @ kv[:, :h][:, own].T / np.sqrt(e)
        logits = logits + a["distance"][block, head][np.maximum(apart, 0)] + a["time"][block, head][buckets(since)]
        logits = np.where(apart >= 0, logits, -np.inf)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        seen[:, own] = share / share.sum(axis=1, keepdims=True) @ kv[:, h:][:, own]
    y = asked + seen @ a["mix"][block].T + a["mix_bias"][block]
    inner = np.maximum(norm(y, a["norms"][2 * block + 1]) @ a["up"][block].T + a["up_bias"][block], 0)
    return y + inner @ a["down"][block].T + a["down_bias"][block]


def attended(a, history, heads):
    """Every block for all entries; the last is asked with the time until now."""
    x, times, how, gaps = entries(history, 50)
    x = x @ a["enter"].T + a["gap"][gaps] + a["level"][how]
    blocks = len(a["mix"])
    for block in range(blocks - 1):
        x = attention(a, block, x, x, times[:, None] - times[None, :], heads)
    after = np.r_[times[1:], history.now]
    asked = x + a["ask"][buckets(after - times)]
    last = attention(a, blocks - 1, asked, x, after[:, None] - times[None, :], heads)[-1]
    return np.r_[norm(last, a["norms"][2 * blocks]) @ a["out"].T + a["out_bias"], 1.0]


def averaged(a, history):
    x, times, _, _ = entries(history, 64)
    d = x.shape[1]
    age = np.arange(len(x))[::-1]
    both = np.concatenate([np.average(x, axis=0, weights=decay**age) for decay in (0.5, 0.93)])
    when = np.eye(BUCKETS)[buckets(np.array(history.now - times[-1]))]
    inner = np.maximum(a["up"] @ np.r_[both, when] + a["up_bias"], 0)
    exact = (both * a["gmf"]).reshape(2, d).sum(axis=0)[:-1]
    return np.r_[exact + a["down"] @ inner + a["down_bias"], 1.0]


@pytest.mark.parametrize("upto", [1, 2, 17, 140])
@pytest.mark.parametrize("seed", [0, 1])
def test_lstm(seed, upto):
    tower, history = lstm(seed), reading(life(140, seed=seed + 1), upto, after=70_000)
    found = tower.read(history)[0]
    assert found == pytest.approx(gated(tower.arrays(), history), abs=2e-5)


@pytest.mark.parametrize("upto", [1, 2, 17, 140])
@pytest.mark.parametrize(("blocks", "heads"), [(1, 1), (2, 2), (3, 4)])
def test_sasrec(blocks, heads, upto):
    tower, history = sasrec(blocks, blocks=blocks, heads=heads), reading(life(140, seed=4), upto, after=70_000)
    assert tower.read(history)[0] == pytest.approx(attended(tower.arrays(), history, heads), abs=2e-5)


@pytest.mark.parametrize("upto", [1, 2, 17, 140])
def test_ncf(upto):
    tower, history = ncf(), reading(life(140, seed=6), upto, after=70_000)
    assert tower.read(history)[0] == pytest.approx(averaged(tower.arrays(), history), abs=2e-5)
