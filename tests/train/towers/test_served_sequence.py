"""A sequence model in the engine: trained with the rest, saved, and served by a process that has no PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import palate
from palate.features import column
from palate.testing.world import make_world
from palate.train.towers import fit
from palate.types import RecommendRequest
from tests.engines import HASHING, SMALL

WORLD = make_world(people=25, interactions=1500, repeats=False)
SERVED = """
import json, sys
sys.modules["torch"] = None  # whoever imports it now fails
import palate
settings = {"language": {"encoder": "hashing"}, "policy": {"explore": False}}
with palate.open(sys.argv[1], **settings) as engine:
    print(json.dumps([item.id for item in engine.recommend(user="p3", k=5, seen="keep").items]))
"""


@pytest.mark.skipif(find_spec("torch") is None, reason="trains in PyTorch, which is not installed")
@pytest.mark.parametrize("kind", ["sasrec", "lstm", "ncf"])
def test_it_is_trained_with_the_rest_and_served_without_torch(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "SEQUENCE_SECONDS", 1.0)
    settings = {"language": HASHING, "policy": {"explore": False}}
    with palate.open(tmp_path / "shop", **settings, train={**SMALL, "towers": (kind,)}) as engine:
        engine.ingest(list(WORLD.events))
        assert engine.wait_encoded(60)
        engine.train()
        (placed,) = engine._model.towers
        assert (placed.column, placed.tower.kind) == ("sequence", kind)
        found = engine.line.run(RecommendRequest(user="p3", seen="keep"), WORLD.end, engine._model)
        products = found.x[:, column("sequence")]
        assert np.isfinite(products).all()
        assert np.ptp(products) > 0.0
        expected = [item.id for item in engine.recommend(user="p3", k=5, seen="keep").items]
    done = subprocess.run(
        [sys.executable, "-c", SERVED, str(tmp_path / "shop")], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == expected
