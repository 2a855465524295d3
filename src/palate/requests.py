"""Decoding and validating requests, from JSON and from keyword arguments; one set of rules for every route.

What the types can't say of a ranking's is checked by ``check_request``, of others where they are answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from palate.checks import check_fields, check_id, check_number, check_text
from palate.config import Limits
from palate.errors import InvalidInput, MalformedBody
from palate.settings_policy import POLICIES
from palate.types import Candidate, RankRequest, RecommendRequest

T = TypeVar("T", bound=msgspec.Struct)

TOO_DEEP = "The body is nested too deeply to be read."
_FILTER_DEPTH = 64


@cache
def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(kind)


def parse_request(body: bytes, kind: type[T]) -> T:
    """A request of any kind from JSON, types only. Errors: ``MalformedBody``, ``InvalidInput`` naming the field."""
    try:
        return _decoder(kind).decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(error) from None
    except msgspec.DecodeError as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    except UnicodeDecodeError:  # its position is that in one of the strings
        raise _no_text(body) from None
    except RecursionError:
        raise MalformedBody(TOO_DEEP) from None


def _no_text(body: bytes) -> MalformedBody:
    try:
        body.decode()
    except UnicodeDecodeError as error:
        at = error.start
        return MalformedBody(f"The body is not valid UTF-8: byte {body[at]:#04x} at position {at}.")
    return MalformedBody("The body is not valid UTF-8.")


def given_request(kind: type[T], given: Mapping[str, Any]) -> T:
    """A request of any kind from keyword arguments, types only. Errors: ``InvalidInput`` naming the argument."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: msgspec.ValidationError) -> InvalidInput:
    """The sentence of msgspec, and what it is about: a path, with the unknown field's name where it is about one."""
    text = str(error).removesuffix(".")
    path = text.rsplit("`$", 1)[1].rstrip("`.").lstrip(".") if "`$" in text else ""
    unknown = text.split("`")[1] if text.startswith("Object contains unknown field `") else ""
    return InvalidInput(f"{text}.", ".".join(part for part in (path, unknown) if part) or None)


R = TypeVar("R", RankRequest, RecommendRequest)


def read_request(kind: type[R], **options: Any) -> R:
    """A ranking's request from keyword arguments, under the wire's own rules. Errors: as ``given_request``."""
    given: dict[str, Any] = {}
    for name, value in options.items():
        if value is None and name not in ("user", "k"):
            continue
        given[name] = list(value) if isinstance(value, tuple | set) else value  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(given.get("items"), list):
        given["items"] = [msgspec.structs.asdict(v) if isinstance(v, Candidate) else v for v in given["items"]]
    return given_request(kind, given)


def check_filter(tree: Mapping[str, Any], limits: Limits) -> None:
    """Depth, sizes and numbers of a filter; its fields and operators are judged where it is compiled.

    Errors: ``InvalidInput``.
    """
    pending: list[tuple[Any, int]] = [(tree, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > _FILTER_DEPTH:
            raise InvalidInput(f"filter is nested more than {_FILTER_DEPTH} deep.", "filter")
        if isinstance(value, str):
            check_text(value, "a value of filter", limits)
        elif isinstance(value, Mapping):
            pending.extend((key, depth) for key in value)  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
            pending.extend((inner, depth + 1) for inner in value.values())  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        elif isinstance(value, list | tuple):
            pending.extend((inner, depth + 1) for inner in value)  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        elif isinstance(value, int | float):
            check_number(value, "a number of filter")


def check_request(request: RecommendRequest, limits: Limits) -> None:
    """Everything that the types can't say of a request. Errors: ``InvalidInput`` naming the field."""
    if request.user is not None:
        check_id(request.user, "user", limits)
    if request.session is not None:
        check_id(request.session, "session", limits)
    if request.k is not None and not 1 <= request.k <= limits.k:
        raise InvalidInput(f"k is {request.k}; it must lie between 1 and {limits.k}.", "k")
    if request.query is not None:
        check_text(request.query, "query", limits)
    check_fields(request.context, "context", limits)
    if request.filter is not None:
        check_filter(request.filter, limits)
    if len(request.exclude) > limits.candidates:
        raise InvalidInput(
            f"exclude has {len(request.exclude)} entries; at most {limits.candidates} are allowed.", "exclude"
        )
    for position, item in enumerate(request.exclude):
        check_id(item, f"exclude[{position}]", limits)
    if request.policy is not None and request.policy not in POLICIES:
        raise InvalidInput(f"policy {request.policy!r} is unknown; use {', '.join(POLICIES)}.", "policy")
    if isinstance(request, RankRequest):
        _check_candidates(request.items, limits)


def _check_candidates(items: list[str | Candidate], limits: Limits) -> None:
    if not items:
        raise InvalidInput(
            "items is empty: send the candidates to rank, or use recommend to have them retrieved.", "items"
        )
    if len(items) > limits.candidates:
        raise InvalidInput(f"items has {len(items)} candidates; at most {limits.candidates} are allowed.", "items")
    if _all_plain(items, limits):
        return
    seen: set[str] = set()
    for position, item in enumerate(items):
        name = item if isinstance(item, str) else item.id
        check_id(name, f"items[{position}]", limits)
        if name in seen:
            raise InvalidInput(
                f"items[{position}] {name[:80]!r} is there twice: each candidate may be sent once.",
                f"items[{position}]",
            )
        seen.add(name)
        if not isinstance(item, str):
            check_fields(item.fields, f"items[{position}].fields", limits)


def _all_plain(items: list[str | Candidate], limits: Limits) -> bool:
    """Whether these are distinct ASCII ids within the limits: the usual case, told in a tenth of the time."""
    ids = cast(list[str], items)
    try:
        joined = "\0".join(ids)
    except TypeError:
        return False
    distinct = set(ids)
    if not joined.isascii() or joined.count("\0") != len(ids) - 1 or len(distinct) != len(ids) or "" in distinct:
        return False
    return max(map(len, ids)) <= limits.id_bytes
