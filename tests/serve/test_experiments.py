"""Experiments over HTTP, with one worker and with several."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.serve.service import Service, Start, ndjson

ARMS = [{"name": "control"}, {"name": "drawn", "policy": {"rank": "plackett_luce"}}]


def filled(service: Service) -> Service:
    events = [{"event": "item", "item": f"i{n}", "fields": {"title": f"thing {n}"}} for n in range(8)]
    headers = {"content-type": "application/x-ndjson"}
    assert service.request("POST", "/v1/events", content=ndjson(events), headers=headers).status_code == 200
    return service


@pytest.fixture(scope="module")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Service:
    return start(tmp_path_factory.mktemp("experiments") / "shop.palate")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_experiment_from_start_to_stop(start: Start, tmp_path: Path, workers: str) -> None:
    service = filled(start(tmp_path / "shop.palate", PALATE_SERVE__WORKERS=workers))
    body = {"name": "try", "arms": ARMS, "metrics": [{"type": "click", "of": "users"}], "horizon_days": 0.01}
    begun = service.request("POST", "/v1/experiments", json=body)
    assert begun.status_code == 201
    assert begun.json()["salt"]
    time.sleep(0.6)  # other workers look at the file so often
    arms = {}
    for n in range(24):
        answer = service.request("POST", "/v1/rank", json={"user": f"u{n}", "items": ["i1", "i2", "i3"]}).json()
        arms[f"u{n}"] = answer["arm"]
        asked = service.request("GET", f"/v1/experiments/try/assignment?user=u{n}").json()
        assert f"try/{asked['arm']}" == answer["arm"]
    assert {*arms.values()} == {"try/control", "try/drawn"}
    report = service.request("GET", "/v1/experiments/try").json()
    assert sum(one["people"] for one in report["arms"]) == 24
    assert service.request("GET", "/v1/experiments").json()["experiments"][0]["name"] == "try"
    assert service.request("POST", "/v1/experiments", json=body).status_code == 409
    assert service.request("POST", "/v1/experiments/try/stop").json()["stopped"]
    assert service.request("POST", "/v1/experiments/try/stop").status_code == 409
    time.sleep(0.6)
    answers = [
        service.request("POST", "/v1/rank", json={"user": user, "items": ["i1", "i2"]}).json()["arm"] for user in arms
    ]
    assert {*answers} == {""}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"name": "x", "arms": ARMS[:1]}, 422, "2 to 10 arms"),
        ({"name": "x", "arms": [*ARMS, {"name": "m", "model": "v0009"}]}, 404, "no model 'v0009'"),
        (
            {"name": "x", "arms": [*ARMS, {"name": "m", "policy": {"nothing": 1}}]},
            422,
            "there is no setting 'nothing' in it",
        ),
        ({"name": "x", "arms": ARMS, "surprise": 1}, 422, "unknown field `surprise`"),
        ({"name": "", "arms": ARMS}, 422, "The name '' isn't one"),
        ([], 422, "Expected `object`"),
    ],
)
def test_what_is_no_experiment_is_refused(service: Service, body: Any, status: int, words: str) -> None:
    answer = service.request("POST", "/v1/experiments", json=body)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


def test_refusals(service: Service) -> None:
    assert service.request("GET", "/v1/experiments/none").status_code == 404
    assert service.request("POST", "/v1/experiments/none/stop").status_code == 404
    assert service.request("GET", "/v1/experiments/none/assignment?user=u").status_code == 404
    assert service.request("GET", "/v1/experiments/none/assignment").status_code == 422
    broken = service.request("POST", "/v1/experiments", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 400
