"""Decoding and validating what comes in: events and requests, from JSON, dicts, structs and frames.

One set of rules for HTTP, the command line and the library. A bad event never stops its neighbours: it is
returned with its index and a sentence. Cost: 0.5 µs an event on top of the msgspec decode.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast

import msgspec

from palate.checks import MAX_TIMESTAMP, check_fields, check_id, check_number, check_text, parse_timestamp
from palate.config import Limits
from palate.errors import InvalidInput, MalformedBody, TooLarge
from palate.settings_policy import POLICIES
from palate.types import (
    Candidate,
    Event,
    Interaction,
    Item,
    RankRequest,
    RecommendRequest,
    Rejected,
    User,
)

T = TypeVar("T", RankRequest, RecommendRequest)

_EVENT = msgspec.json.Decoder(Event)
_EVENTS = msgspec.json.Decoder(list[Event])
_TOO_DEEP = "The body is nested too deeply to be read."
_FILTER_DEPTH = 64
_MAX_VALUE = 1e12  # its square is far from the end of 32-bit floats, so that no sum of them becomes infinite


def now_ms() -> int:
    """The wall clock, Unix milliseconds."""
    return time.time_ns() // 1_000_000


def check_event(event: Event, limits: Limits) -> None:
    """Everything that the types can't say. Errors: ``InvalidInput`` or ``TooLarge`` naming the field."""
    if event.id is not None:
        check_id(event.id, "id", limits)
    if event.timestamp is not None:
        event.timestamp = parse_timestamp(event.timestamp)
    if isinstance(event, Interaction):
        check_id(event.item, "item", limits)
        check_id(event.type, "type", limits)
        _check_subject(event.user, event.session, limits)
        if event.value is not None:
            check_number(event.value, "value")
            if abs(event.value) > _MAX_VALUE:
                raise InvalidInput(f"value is {event.value:g}; it must lie between -1e+12 and 1e+12.", "value")
        if event.text is not None:
            check_text(event.text, "text", limits)
        if event.ranking is not None:
            check_id(event.ranking, "ranking", limits)
    elif isinstance(event, Item):
        check_id(event.item, "item", limits)
        check_fields(event.fields, "fields", limits)
    elif isinstance(event, User):
        if event.session is None or event.user:
            check_id(event.user, "user", limits)
        if event.session is not None:
            check_id(event.session, "session", limits)
            if event.user:
                raise InvalidInput(
                    "A user event describes a user or a session, not both: leave one of them out, or send two events.",
                    "session",
                )
        check_fields(event.fields, "fields", limits)
    else:
        _check_subject(event.user, event.session, limits)
        if len(event.items) > limits.candidates:
            raise InvalidInput(
                f"items has {len(event.items)} entries; at most {limits.candidates} are allowed.", "items"
            )
        for position, item in enumerate(event.items):
            check_id(item, f"items[{position}]", limits)
        if event.ranking is not None:
            check_id(event.ranking, "ranking", limits)


def _check_subject(user: str | None, session: str | None, limits: Limits) -> None:
    if user is not None:
        check_id(user, "user", limits)
    if session is not None:
        check_id(session, "session", limits)
    if user is None and session is None:
        raise InvalidInput("Neither user nor session is given: an interaction or impression needs one of them.", "user")


def _is_plain(event: Event, limits: Limits) -> bool:
    """Whether this is a usual interaction, and right. ``False`` says nothing: it is looked at closely then."""
    if type(event) is not Interaction or event.text is not None or event.ranking is not None:
        return False
    item, kind, subject, ts, value = event.item, event.type, event.user or event.session, event.timestamp, event.value
    if not (item and kind and subject) or (event.user is not None and event.session is not None) or event.id == "":
        return False
    names = f"{item}{kind}{subject}{event.id}"
    return (
        len(names) <= limits.id_bytes
        and names.isascii()
        and "\0" not in names
        and (ts is None or (type(ts) is int and 0 <= ts <= MAX_TIMESTAMP))
        and (value is None or -_MAX_VALUE <= value <= _MAX_VALUE)
    )


def _checked(events: list[Event], limits: Limits) -> tuple[list[tuple[int, Event]], list[Rejected], bool]:
    """Good events with their index, the others, and whether one of these was too large."""
    good: list[tuple[int, Event]] = []
    bad: list[Rejected] = []
    oversize = False
    for index, event in enumerate(events):
        try:
            if not _is_plain(event, limits):
                check_event(event, limits)
            good.append((index, event))
        except InvalidInput as error:
            oversize = oversize or isinstance(error, TooLarge)
            bad.append(Rejected(index, error.message))
    return good, bad, oversize


def read_event(raw: object, limits: Limits) -> Event:
    """One event from a struct or a mapping, checked. Errors: ``InvalidInput``."""
    try:
        # What is given may hold anything and shares its lists with the caller: what goes on is what the log will hold
        # of it, checked as a body is.
        event: Event = _STORED.decode(_ENCODER.encode(raw))
    except msgspec.ValidationError as error:
        raise InvalidInput(_sentence(error)) from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:  # a lone surrogate, a huge number
        raise InvalidInput(_why(raw, error)) from None
    check_event(event, limits)
    return event


def _why(raw: object, error: Exception) -> str:
    """A sentence on what can't be encoded, with the place of it where that can be told."""
    try:
        msgspec.convert(raw, Event)
    except msgspec.ValidationError as found:
        if isinstance(raw, Mapping):
            return _sentence(found)
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass
    return f"The event can't be stored: {error}."


def _plainly(value: object) -> object:
    """What msgspec can encode of what it can't. Errors: ``TypeError``."""
    if isinstance(value, Mapping):
        return dict(cast("Mapping[object, object]", value))
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


def read_events(raws: Iterable[object], limits: Limits) -> tuple[list[tuple[int, Event]], list[Rejected]]:
    """Good events with their index, and the rejected ones. About 1.5 µs an event."""
    raws = list(raws)
    try:
        return _checked(_STORED_ALL.decode(_ENCODER.encode(raws)), limits)[:2]
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        pass  # one of them at least is bad: which is found below
    good: list[tuple[int, Event]] = []
    bad: list[Rejected] = []
    for index, raw in enumerate(raws):
        try:
            good.append((index, read_event(raw, limits)))
        except InvalidInput as error:
            bad.append(Rejected(index, error.message))
    return good, bad


def decode_events(
    body: bytes, limits: Limits, ndjson: bool = False
) -> tuple[list[tuple[int, Event]], list[Rejected], bool]:
    """Events of a request body: one object, an array, or NDJSON (one object a line; blank lines are skipped).

    Returns good events with their index, rejected ones, and whether any rejection was for size.
    Errors: ``MalformedBody`` when the body as a whole can't be read. Cost: about 1 µs an event.
    """
    text = body.strip()
    if not text:
        raise MalformedBody("The body is empty: send one event, an array of events, or NDJSON.")
    try:
        if text[:1] == b"[":
            events = _EVENTS.decode(text)
        else:
            events = _EVENT.decode_lines(text) if ndjson else [_EVENT.decode(text)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):  # one of them at least is bad
        return _decode_each(text, limits, ndjson)
    if len(events) > limits.batch_events:
        raise _too_many(limits)
    return _checked(events, limits)


def _too_many(limits: Limits) -> TooLarge:
    return TooLarge(f"The body holds more than {limits.batch_events} events; send them in smaller batches.")


def _decode_each(text: bytes, limits: Limits, ndjson: bool) -> tuple[list[tuple[int, Event]], list[Rejected], bool]:
    """``decode_events``, one after the other."""
    good: list[tuple[int, Event]] = []
    bad: list[Rejected] = []
    oversize = False
    for index, raw in enumerate(_split(text, ndjson)):
        try:
            event = _EVENT.decode(raw)
            check_event(event, limits)
            good.append((index, event))
        except msgspec.ValidationError as error:
            bad.append(Rejected(index, _sentence(error)))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            bad.append(Rejected(index, f"Not valid JSON: {error}."))
        except RecursionError:
            bad.append(Rejected(index, "Not readable: it is nested too deeply."))
        except InvalidInput as error:
            oversize = oversize or isinstance(error, TooLarge)
            bad.append(Rejected(index, error.message))
        if index >= limits.batch_events:
            raise _too_many(limits)
    return good, bad, oversize


def _split(text: bytes, ndjson: bool) -> Iterator[bytes | msgspec.Raw]:
    if text[:1] == b"[":
        try:
            yield from msgspec.json.decode(text, type=list[msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedBody(f"The body is not valid JSON: {error}.") from None
        except RecursionError:
            raise MalformedBody(_TOO_DEEP) from None
        return
    if not ndjson:
        try:
            yield msgspec.json.decode(text, type=msgspec.Raw)
            return
        except RecursionError:
            raise MalformedBody(_TOO_DEEP) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            if b"\n" not in text:
                raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    for line in text.split(b"\n"):
        if line.strip():
            yield line.strip()


def _sentence(error: msgspec.ValidationError) -> str:
    text = str(error).removesuffix(".")
    if text.startswith("Invalid value") and text.endswith("event`"):
        text += ": use item, user, impression or interaction, whose type says what was done"
    return text + "."


_REQUESTS: dict[type, Any] = {
    RankRequest: msgspec.json.Decoder(RankRequest),
    RecommendRequest: msgspec.json.Decoder(RecommendRequest),
}


def parse_request(body: bytes, kind: type[T]) -> T:
    """A rank or recommend request from JSON, types only. Errors: ``MalformedBody``, ``InvalidInput``."""
    try:
        return _REQUESTS[kind].decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(_sentence(error), _path(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise MalformedBody(_TOO_DEEP) from None


def decode_request(body: bytes, kind: type[T], limits: Limits) -> T:
    """``parse_request``, then ``check_request``. Errors: ``MalformedBody``, ``InvalidInput``, ``TooLarge``."""
    request = parse_request(body, kind)
    check_request(request, limits)
    return request


def _path(message: str) -> str | None:
    """What a message of msgspec is about: a path, with the unknown field's name where it is about one."""
    path = message.rsplit("`$", 1)[1].rstrip("`.").lstrip(".") if "`$" in message else ""
    unknown = message.split("`")[1] if message.startswith("Object contains unknown field `") else ""
    return ".".join(part for part in (path, unknown) if part) or None


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


def read_request(kind: type[T], **options: Any) -> T:
    """A request from keyword arguments, under the wire's own rules. Errors: ``InvalidInput`` naming the argument."""
    given: dict[str, Any] = {}
    for name, value in options.items():
        if value is None and name not in ("user", "k"):
            continue
        given[name] = list(value) if isinstance(value, tuple | set) else value  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(given.get("items"), list):
        given["items"] = [msgspec.structs.asdict(v) if isinstance(v, Candidate) else v for v in given["items"]]
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput(_sentence(error), _path(str(error))) from None


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plainly)
_STORED = msgspec.msgpack.Decoder(Event)
_STORED_ALL = msgspec.msgpack.Decoder(list[Event])


def encode_event(event: Event) -> bytes:
    """An event as the log keeps it (MessagePack)."""
    return _ENCODER.encode(event)
