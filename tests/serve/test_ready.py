"""Once a service says that it is ready, no request and no event waits for the compiler."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import palate
from palate import Engine
from palate.features import NAMES
from palate.score.convert import from_lightgbm
from palate.train import artefact
from palate.train.manifest import Manifest
from tests.score.boosters import booster, data
from tests.serve.service import PROGRAM, Service, Start, ndjson

WATCHED = """
import sys
from numba.core.dispatcher import Dispatcher

before = Dispatcher.compile

def compile(self, signature):
    known = len(self.overloads)
    found = before(self, signature)
    if len(self.overloads) > known and self.py_func.__module__.startswith("palate."):
        with open(sys.argv[1] + ".compiled", "a") as file:
            print(self.py_func.__module__, self.py_func.__name__, signature, file=file)
    return found

Dispatcher.compile = compile
""" + PROGRAM.replace(
    "print(url, flush=True)", '(print("ready", file=open(sys.argv[1] + ".compiled", "a")), print(url, flush=True))'
)


def compiled(path: Path) -> tuple[list[str], list[str]]:
    """Kernels that were compiled or read from their cache before the service was ready, and since."""
    lines = Path(f"{path}.compiled").read_text().splitlines()
    place = lines.index("ready")
    return lines[:place], lines[place + 1 :]


def use(service: Service, items: list[str], user: str) -> None:
    """What clients do: every kind of request, and events between them."""
    one = items[0]
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/v1/rank", {"user": user, "items": items, "k": 10}),
        ("/v1/recommend", {"user": user, "k": 10}),
        ("/v1/rank", {"user": user, "items": [one]}),
        ("/v1/rank", {"user": user, "items": items[:2], "explain": True}),
        ("/v1/rank", {"items": items}),
        ("/v1/recommend", {}),
        ("/v1/recommend", {"session": "visit", "seen": "drop"}),
        ("/v1/recommend", {"user": user, "query": "tea and wine"}),
        ("/v1/rank", {"user": user, "items": items, "query": "bread", "policy": "plackett_luce"}),
        ("/v1/recommend", {"user": user, "filter": {"category": {"eq": "tea"}}, "context": {"hour": 3}}),
        ("/v1/events", {"event": "interaction", "user": user, "item": one}),
        ("/v1/rank", {"user": user, "items": items}),
        ("/v1/events", {"event": "interaction", "user": "never seen", "item": one, "type": "purchase", "value": 2.0}),
        ("/v1/recommend", {"user": "never seen"}),
        ("/v1/events", {"event": "item", "item": "new", "fields": {"title": "a new tea", "category": "tea"}}),
        ("/v1/rank", {"user": user, "items": [*items, "new"]}),
        ("/v1/recommend", {"user": user}),
    ]
    for path, body in requests:
        assert service.post(path, body).status_code == 200, body


def with_trees(engine: Engine) -> None:
    """Put a forest into service, which so small a shop would not be trained to."""
    assert engine.path is not None
    x, y = data(1, 300, len(NAMES), 0.1, grid=False)
    scorer = from_lightgbm(booster(x, y, 5), list(NAMES))
    manifest = Manifest(
        kind="trees",
        features=list(NAMES),
        encoder=engine.catalogue.cache.encoder.name,
        extra={"scorer": scorer.meta()},
    )
    arrays = {f"scorer.{name}": array for name, array in scorer.arrays().items()}
    engine.activate(artefact.save(engine.path / "models", arrays, manifest).version)


def test_nothing_is_compiled_for_a_shop_that_is_known(
    start: Start, tmp_path: Path, world: list[dict[str, Any]]
) -> None:
    with palate.open(tmp_path / "shop.palate", language={"encoder": "hashing"}) as engine:
        engine.ingest(world)
        engine.wait_encoded()
        with_trees(engine)
    service = start(tmp_path / "shop.palate", program=WATCHED)
    use(service, [event["item"] for event in world if event["event"] == "item"], "u3")
    before, since = compiled(service.path)
    assert any("palate.score.quick _predict" in line for line in before)
    assert since == []


@pytest.mark.parametrize("many", [False, True])
def test_nothing_is_compiled_for_a_shop_that_grows_from_nothing(
    start: Start, tmp_path: Path, world: list[dict[str, Any]], many: bool
) -> None:
    service = start(tmp_path / "new.palate", program=WATCHED)
    assert service.post("/v1/recommend", {"user": "u1"}).status_code == 200
    events = list(world)
    if many:  # so many texts that they are searched by codes
        events += [{"event": "item", "item": f"more-{n}", "fields": {"title": f"tea of kind {n}"}} for n in range(400)]
    sent = service.request(
        "POST", "/v1/events", content=ndjson(events), headers={"content-type": "application/x-ndjson"}
    )
    assert sent.status_code == 200
    if many:
        time.sleep(1.0)  # texts are encoded in the background
    use(service, [event["item"] for event in world if event["event"] == "item"], "u3")
    assert compiled(service.path)[1] == []
