"""Requests of every kind are read by one set of rules: what is wrong is named, by a sentence and a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from palate.chat.answer import ChatRequest, chat_request
from palate.documents import RerankRequest
from palate.errors import InvalidInput, MalformedBody
from palate.experiment import Experiment
from palate.requests import given_request, parse_request, read_request
from palate.rights import Correction
from palate.serve.dashboard import ItemQuery
from palate.serve.login import Login
from palate.types import RankRequest, RecommendRequest

KINDS: list[type[Any]] = [
    RankRequest, RecommendRequest, ChatRequest, RerankRequest, Experiment, Correction, ItemQuery, Login,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_request_is_refused_alike(kind: type[Any]) -> None:
    for body in (b"", b"{", b"nonsense", b"\xff"):
        with pytest.raises(MalformedBody) as bad:
            parse_request(body, kind)
        assert bad.value.where is None
        assert bad.value.message.endswith(".")
    for given in ([], 3, None):
        with pytest.raises(InvalidInput) as error:
            parse_request(msgspec.json.encode(given), kind)
        assert error.value.where is None


def test_what_is_nested_too_deeply_is_refused() -> None:
    depth = 200_000
    for kind, begin in (
        (RankRequest, b'{"filter": ' + b'{"a": ' * depth),
        (RerankRequest, b'{"documents": [{"a": ' + b"[" * depth),
        (Experiment, b'{"arms": [{"policy": {"a": ' + b"[" * depth),
    ):
        with pytest.raises(MalformedBody, match="nested too deeply"):
            parse_request(begin, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_named(kind: type[Any]) -> None:
    with pytest.raises(InvalidInput, match="unknown field `surprise`") as error:
        parse_request(b'{"surprise": 1}', kind)
    assert error.value.where == "surprise"
    with pytest.raises(InvalidInput, match="unknown field `surprise`") as error:
        given_request(kind, {"surprise": 1})
    assert error.value.where == "surprise"


@pytest.mark.parametrize(
    ("kind", "given", "where"),
    [
        (Correction, {"pin": ["tea", 3]}, "pin[1]"),
        (RankRequest, {"user": "u", "items": ["a", {"id": "b", "colour": 1}]}, "items[1].colour"),
        (RecommendRequest, {"user": 3}, "user"),
        (Experiment, {"name": "x", "arms": [{"name": "a", "weight": "much"}]}, "arms[0].weight"),
        (ChatRequest, {"text": None}, "text"),
        (Login, {"key": 5}, "key"),
        (ItemQuery, {"ids": ["a", 4]}, "ids[1]"),
    ],
)
def test_the_place_of_what_is_wrong_is_named(kind: type[Any], given: dict[str, Any], where: str) -> None:
    for read in (lambda: parse_request(msgspec.json.encode(given), kind), lambda: given_request(kind, given)):
        with pytest.raises(InvalidInput) as error:
            read()
        assert error.value.where == where
        assert "  " not in error.value.message


def test_keyword_arguments_are_read_by_the_same_rules() -> None:
    for read in (lambda: read_request(RankRequest, user="u", items=["a"], colour=1), lambda: chat_request(colour=1)):
        with pytest.raises(InvalidInput) as error:
            read()
        assert error.value.where == "colour"
    assert read_request(RecommendRequest, user=None, k=3, query=None).k == 3


def test_nobody_reads_a_body_by_rules_of_their_own() -> None:
    """Each route takes its body through ``parse_request`` (events: through ``decode_events``)."""
    serve = Path(__file__).parent.parent / "src" / "palate" / "serve"
    own = [path.name for path in serve.rglob("*.py") if "msgspec.ValidationError" in path.read_text(encoding="utf-8")]
    assert own == []
