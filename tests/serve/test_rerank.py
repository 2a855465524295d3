"""``/v1/rerank`` and ``/v2/rerank``: the dialects' own shapes, relevance, a person's taste, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

import palate
from palate.documents import RerankRequest
from tests.language.protocol import ChatServer
from tests.serve.service import KEY, Service, Start, ndjson

CAPITALS = [
    "Carson City is the capital city of the American state of Nevada.",
    "The Commonwealth of the Northern Mariana Islands is a group of islands in the Pacific Ocean.",
    "Washington, D.C. is the capital of the United States. It is a federal district.",
    "Capital punishment has existed in the United States since before it was a country.",
]


class Version(msgspec.Struct, forbid_unknown_fields=True):
    version: str


class Units(msgspec.Struct, forbid_unknown_fields=True):
    search_units: float


class Meta(msgspec.Struct, forbid_unknown_fields=True):
    """Of Cohere's answers, as its client reads them."""

    api_version: Version
    billed_units: Units
    warnings: list[str] = []


class Result(msgspec.Struct, forbid_unknown_fields=True):
    index: int
    relevance_score: float


class CohereTwo(msgspec.Struct, forbid_unknown_fields=True):
    """The answer of Cohere's second version, as its documentation has it."""

    results: list[Result]
    id: str
    meta: Meta


class Text(msgspec.Struct):
    text: str


class Found(Result, forbid_unknown_fields=True):
    document: Text | None = None


class Usage(msgspec.Struct, forbid_unknown_fields=True):
    total_tokens: int
    prompt_tokens: int


class JinaOrCohereOne(msgspec.Struct, forbid_unknown_fields=True):
    """Jina's answer (model, object, usage, results) and that of Cohere's first version (id, results, meta)."""

    id: str
    model: str
    object: str
    results: list[Found]
    usage: Usage
    meta: Meta


@pytest.fixture(scope="module")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Service:
    service = start(tmp_path_factory.mktemp("rerank") / "shop.palate")
    sent = service.request(
        "POST", "/v1/events", content=ndjson(world), headers={"content-type": "application/x-ndjson"}
    )
    assert sent.status_code == 200
    return service


def ask(service: Service, path: str = "/v1/rerank", **body: Any) -> Any:
    answer = service.post(path, {"query": "wine", "documents": ["tea", "wine"], **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(service: Service, status: int, where: str | None, **body: Any) -> str:
    answer = service.post("/v1/rerank", body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["where"] == where
    return str(error["message"])


def test_the_answer_of_the_first_version_is_what_both_dialects_read(service: Service) -> None:
    body = {"model": "jina-reranker-v2-base-multilingual", "top_n": 3}
    raw = ask(service, query="What is the capital of the United States?", documents=CAPITALS, **body)
    answer = msgspec.convert(raw, JinaOrCohereOne)
    assert answer.object == "list"
    assert answer.model.startswith("hashing")
    assert answer.meta.api_version.version == "1"
    assert answer.meta.billed_units.search_units == 1
    assert len(answer.results) == 3
    assert answer.results[0].index == 2
    scores = [one.relevance_score for one in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0.0 <= one <= 1.0 for one in scores)
    assert all(one.document is not None and one.document.text == CAPITALS[one.index] for one in answer.results)
    assert answer.usage.total_tokens > 40
    assert "document" not in ask(service, return_documents=False)["results"][0]


def test_the_answer_of_the_second_version_is_coheres(service: Service) -> None:
    raw = ask(service, "/v2/rerank", query="capital of the United States", documents=CAPITALS, model="rerank-v3.5")
    answer = msgspec.convert(raw, CohereTwo)
    assert answer.meta.api_version.version == "2"
    assert len(answer.results) == len(CAPITALS)
    assert ask(service, "/v2/rerank", return_documents=True)["results"][0]["document"] == {"text": "wine"}


def test_documents_may_be_objects_and_only_the_named_fields_count(service: Service) -> None:
    emails = [
        {"from": "hr@co1t.com", "subject": "A warm welcome", "text": "wine for everybody"},
        {"from": "it@co1t.com", "subject": "Wine list", "text": "see the file"},
    ]
    assert ask(service, documents=emails)["results"][0]["index"] == 0
    answer = ask(service, documents=emails, rank_fields=["from", "subject"])
    assert answer["results"][0]["index"] == 1
    assert answer["results"][0]["document"] == emails[1]
    listed = ask(service, documents=[{"text": "tea"}, {"tags": ["red", "wine"]}], rank_fields=["text", "tags"])
    assert listed["results"][0]["index"] == 1


def test_an_item_of_the_catalogue_is_named_by_its_id(service: Service) -> None:
    answer = ask(service, documents=[{"id": "tea-0"}, {"id": "wine-1"}, "bread"], explain=True)
    assert answer["results"][0]["index"] == 1
    assert answer["results"][0]["document"]["text"].startswith("wine number 1")
    assert set(answer["results"][0]["parts"]) == {"words", "meaning", "liking"}


def test_a_persons_taste_is_blended_in_and_follows_the_very_next_event(service: Service) -> None:
    documents = ["a number of cheese", "a number of tea", {"id": "cheese-3"}, {"id": "tea-0"}]
    plain = {
        one["index"]: one["relevance_score"] for one in ask(service, query="number", documents=documents)["results"]
    }
    for name in ("u0", "u3"):  # of the kinds tea and cheese
        found = ask(service, query="number", documents=documents, user=name, explain=True)["results"]
        mine = {"u0": {1, 3}, "u3": {0, 2}}[name]
        liking = {one["index"]: one["parts"]["liking"] for one in found}
        assert min(liking[one] for one in mine) > max(liking[one] for one in set(range(4)) - mine)
        assert {one["index"] for one in found[:2]} == mine
    assert abs(plain[2] - plain[3]) < 0.1
    cold = ask(service, query="number", documents=documents, session="s-new")
    assert cold["meta"]["warnings"] == ["Nothing is known of this person: the order is by relevance alone."]
    event = {"event": "interaction", "session": "s-new", "item": "tea-0", "type": "purchase"}
    assert service.post("/v1/events", event).status_code == 200
    warm = ask(service, query="number", documents=documents, session="s-new", taste=1.0)
    assert {one["index"] for one in warm["results"][:2]} == {1, 3}
    assert "warnings" not in warm["meta"]
    same = ask(service, query="number", documents=documents, user="u0", taste=0.0)
    assert {one["index"]: one["relevance_score"] for one in same["results"]} == plain


def test_a_score_says_nothing_of_the_other_documents(service: Service) -> None:
    one = ask(service, documents=["red wine"])["results"][0]["relevance_score"]
    many = ask(service, documents=["a", "red wine", "tea " * 50])["results"]
    assert abs(one - next(each["relevance_score"] for each in many if each["index"] == 1)) < 1e-5


def test_what_has_no_effect_is_said(service: Service) -> None:
    answer = ask(service, "/v2/rerank", max_tokens_per_doc=20, priority=0)
    assert answer["meta"]["warnings"][0].startswith("max_tokens_per_doc, priority: no effect here")


def test_what_is_wrong_is_refused_in_the_wires_own_shape(service: Service) -> None:
    assert "empty" in refused(service, 422, "query", query=" ", documents=["a"])
    assert "empty" in refused(service, 422, "documents", query="a", documents=[])
    refused(service, 422, "top_n", query="a", documents=["a"], top_n=0)
    refused(service, 422, "taste", query="a", documents=["a"], taste=2)
    refused(service, 422, None, query="a")
    refused(service, 422, "unheard_of", query="a", documents=["a"], unheard_of=1)
    refused(service, 422, "documents[0]", query="a", documents=[3])
    refused(service, 422, "documents[1]", query="a", documents=["a", {"image": "http://x"}])
    refused(service, 422, "documents[0].text", query="a", documents=[{"text": {"b": 1}}])
    refused(service, 422, "user", query="a", documents=["a"], user="")
    refused(service, 413, "documents[0]", query="a", documents=["a" * 70_000])
    assert service.request("GET", "/v1/rerank").status_code == 405
    broken = service.request("POST", "/v2/rerank", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 400
    assert broken.json()["error"]["code"] == "malformed"


def test_keys_are_asked_for(start: Start, tmp_path: Path) -> None:
    keys = f'["{hashlib.sha256(KEY.encode()).hexdigest()}"]'
    service = start(tmp_path / "shop.palate", PALATE_SERVE__KEYS=keys)
    body = {"query": "a", "documents": ["a"]}
    for path in ("/v1/rerank", "/v2/rerank"):
        assert service.post(path, body).status_code == 401
        assert service.post(path, body, headers={"authorization": f"Bearer {KEY}"}).status_code == 200


def test_the_library_ranks_documents_too(tmp_path: Path) -> None:
    with palate.open(tmp_path / "shop.palate", language={"encoder": "none"}) as engine:
        found = engine.documents.rank(RerankRequest(query="green tea", documents=["black coffee", "green tea"]))
        assert [one.index for one in found.results] == [1, 0]
        assert found.results[0].relevance_score == 1.0
        assert list((tmp_path / "shop.palate" / "vectors").glob("*.bin")) == [] or found.words == 6


def test_nothing_that_was_only_ranked_is_written(tmp_path: Path) -> None:
    with palate.open(tmp_path / "shop.palate", language={"encoder": "hashing"}) as engine:
        engine.documents.rank(RerankRequest(query="green tea", documents=["black coffee", "green tea"]))
        assert len(engine.catalogue.cache) == 0


@pytest.mark.skipif(importlib.util.find_spec("cohere") is None, reason="Cohere's client isn't installed.")
def test_coheres_own_clients_work(service: Service) -> None:
    import cohere

    second = cohere.ClientV2("no-key", base_url=service.url).rerank(model="m", query="wine", documents=["tea", "wine"])
    assert [one.index for one in second.results] == [1, 0]
    assert second.meta.api_version.version == "2"
    first = cohere.Client("no-key", base_url=service.url).rerank(
        model="m", query="wine", documents=["tea", {"text": "wine"}], return_documents=True, top_n=1
    )
    assert first.results[0].document.text == "wine"


def test_rankings_go_on_while_a_language_model_hangs(start: Start, tmp_path: Path, world: list[dict[str, Any]]) -> None:
    pytest.importorskip("openai", reason="openai isn't installed: pip install 'palate[llm]'.")
    server = ChatServer()
    server.behave("hang")
    service = start(
        tmp_path / "shop.palate", PALATE_LANGUAGE__GENERATOR__KIND="openai", PALATE_LANGUAGE__GENERATOR__MODEL="m",
        PALATE_LANGUAGE__GENERATOR__BASE_URL=server.url, PALATE_LANGUAGE__RERANK__ENABLED="true",
        PALATE_LANGUAGE__RERANK__SECONDS="2.0", PALATE_LANGUAGE__RERANK__HELD="0.0",
    )  # fmt: skip
    headers = {"content-type": "application/x-ndjson"}
    assert service.request("POST", "/v1/events", content=ndjson(world), headers=headers).status_code == 200
    items = [f"{kind}-{n}" for n, kind in enumerate(("tea", "wine", "bread", "cheese"))]
    with ThreadPoolExecutor(1) as beside:
        slow = beside.submit(service.post, "/v1/rank", {"user": "nobody-yet", "items": items})
        while not server.seen and not slow.done():
            time.sleep(0.01)
        quick = service.post("/v1/rank", {"user": "u1", "items": items})
        assert not slow.done(), "who is asked about waits alone"
        assert quick.status_code == 200
        answer = slow.result(30).json()
    assert answer["degraded"] == ["generator_timeout"]
    assert [one["status"] for one in answer["stages"] if one["name"] == "language model"] == ["failed"]
    also = service.post("/v1/recommend", {"user": "u1", "k": 3}).json()
    assert [one["status"] for one in also["stages"] if one["name"] == "language model"] == ["skipped"]
    assert service.stop() == 0
    server.behave()
    server.close()
