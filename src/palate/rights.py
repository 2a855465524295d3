"""The profile belongs to the user: what they correct, whether they are profiled at all, and everything kept of them.

All of it is ordinary events. To mute a tag is a hard wish and to pin one a softer wish (``wishes``), which the line has
obeyed all along, said by a conversation or here. Not to be profiled is a field (``wishes.PROFILING``): whoever set it
is answered like somebody unnamed, and their events are withheld before the log (``admitted``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec
import numpy as np

from palate.catalogue import Catalogue
from palate.checks import check_id, check_text
from palate.config import Limits, Settings
from palate.errors import Conflict, InvalidInput
from palate.opening import Parts
from palate.state import State
from palate.state.keys import subject_of
from palate.store.decision import Decision
from palate.store.decisions import DecisionLog
from palate.train.history import event_of
from palate.types import Event, FieldValue, IngestResult, Item, RecommendRequest, User, UserProfile
from palate.wished import barred, same, tag_of
from palate.wishes import FIELD, MOST, PROFILING, Wish, read, write

_LOOKED = 200
"""Items with a tag that are looked at for the fields that it comes from."""


class Correction(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a person corrects of their profile. mute: tags (``genre:Horror``), values of tags (``horror``) or words that
    are not wanted: items with a muted tag are left out, words count against. pin: those that are wanted more. unmute,
    unpin: taken back. profiling: False to be ranked for like somebody unnamed and not to be followed any more, True to
    begin anew; both forget what was known."""

    mute: list[str] = []
    unmute: list[str] = []
    pin: list[str] = []
    unpin: list[str] = []
    profiling: bool | None = None


class Kept(msgspec.Struct, omit_defaults=True):
    """One thing that is kept of a person. table: ``events`` (of the log, value and position), ``decisions``,
    ``replayed`` (decisions of the last training), or once ``profile`` (what follows from these, as it is shown) and
    ``state`` (as it is held)."""

    table: str
    value: Any
    seq: int = 0


class Known(Protocol):
    """What of an engine this reads."""

    settings: Settings
    parts: Parts

    @property
    def state(self) -> State: ...
    @property
    def catalogue(self) -> Catalogue: ...


class Host(Known, Protocol):
    """What of an engine corrections need."""

    def ingest(self, events: object) -> IngestResult: ...


def subject(user: str | None, session: str | None, limits: Limits) -> str:
    """The key of a user or of an anonymous session. Errors: ``InvalidInput``, also where both are named or neither."""
    if user is not None and session is not None:
        raise InvalidInput("Name a user or a session, not both: what either did is kept apart.", "session")
    if session is not None:
        check_id(session, "session", limits)
    elif user is None:
        raise InvalidInput("Neither user nor session is given: name whose it is.", "user")
    else:
        check_id(user, "user", limits)
    return subject_of(user, session) or ""


# ------------------------------------------------------------------------------ not to be profiled


def named(request: RecommendRequest, state: State) -> RecommendRequest:
    """``request``, without a name where its person doesn't want to be profiled. 0.3 µs; ask only where anybody does."""
    name = subject_of(request.user, request.session)
    if name is None or state.users.get(name) not in state.opted_out:
        return request
    return msgspec.structs.replace(request, user=None, session=None)


def admitted(good: Sequence[tuple[int, Event]], state: State) -> tuple[Sequence[tuple[int, Event]], int]:
    """The events that may go into the log, and how many are withheld: those of people who don't want to be profiled,
    but for what says that they do again, or deletes them. 0.2 µs an event; nothing where nobody opted out."""
    if not state.opted_out:
        return good, 0
    now: dict[str, bool] = {}  # what this very batch says
    kept: list[tuple[int, Event]] = []
    for one in good:
        event = one[1]
        if isinstance(event, Item):
            kept.append(one)
            continue
        name = event.user or subject_of(None, event.session) or ""
        clears = isinstance(event, User) and (event.deleted or PROFILING in event.fields)
        if clears:
            now[name] = isinstance(event, User) and event.fields.get(PROFILING) is False
        if clears or not now.get(name, state.users.get(name) in state.opted_out):
            kept.append(one)
    return kept, len(good) - len(kept)


# ------------------------------------------------------------------------------------- corrections


def correct(host: Host, user: str, change: Correction, turn: Callable[[str], AbstractContextManager[object]]) -> None:
    """Write what a correction comes to as one user event; the state has it when this returns.

    turn: holds off others who change wishes of this person. Errors: ``InvalidInput`` naming what is wrong;
    ``Conflict`` where wishes are to change of somebody who doesn't want to be profiled.
    """
    limits = host.settings.limits
    check_id(user, "user", limits)
    lists = {"mute": change.mute, "unmute": change.unmute, "pin": change.pin, "unpin": change.unpin}
    for where, texts in lists.items():
        if len(texts) > MOST:
            raise InvalidInput(f"{where} has {len(texts)} entries; at most {MOST} are allowed.", where)
        for text in texts:
            check_text(text, where, limits)
            if not text.strip():
                raise InvalidInput(f"{where} has an empty entry: name a tag, such as genre:Drama, or a word.", where)
            size = len(text.strip().encode())
            # What is taken back may be longer: it is only looked for, and a conversation may have put it there.
            if where in ("mute", "pin") and size > limits.id_bytes:
                raise InvalidInput(
                    f"{where} has an entry of {size} bytes; a tag or word has 1 to {limits.id_bytes}.", where
                )
    if both := {text.strip().casefold() for text in change.mute} & {text.strip().casefold() for text in change.pin}:
        raise InvalidInput(f"{min(both)[:80]!r} is to be muted and pinned at once: send one of them.", "pin")
    wishful = any(lists.values())
    if change.profiling is not None and wishful:
        raise InvalidInput("To opt out or in forgets all wishes: send profiling alone, then the others.", "profiling")
    if change.profiling is None and not wishful:
        raise InvalidInput("There is nothing to correct: send mute, unmute, pin, unpin or profiling.", "mute")
    with turn(user):
        row = host.state.users.get(user)
        off = row in host.state.opted_out
        if change.profiling is not None:
            if change.profiling is off:  # else it is so already, and nothing is to be forgotten
                host.ingest(User(user=user, fields={PROFILING: change.profiling}))
            return
        if off:
            raise Conflict(
                f"{user[:80]!r} doesn't want to be profiled, so that there is nothing to correct: send "
                '{"profiling": true} first.'
            )
        value = host.state.user_fields.get(row, {}).get(FIELD)
        held = read(value)[0]
        wishes = corrected(held, change, host.catalogue)
        if len(wishes) > MOST:
            raise InvalidInput(f"That makes {len(wishes)} wishes of this person; at most {MOST} are kept.", "mute")
        if wishes != held:
            host.ingest(User(user=user, fields={FIELD: list[str](write(wishes))}))


def corrected(held: Sequence[Wish], change: Correction, catalogue: Catalogue) -> list[Wish]:
    """The wishes after a correction. What is muted is no longer pinned, and the other way round."""
    own = catalogue.settings.tag_fields
    wishes = list(held)
    for text in (*change.unmute, *change.pin, *change.mute):
        wishes = _unmuted(wishes, text.strip(), own)
    for text in (*change.unpin, *change.mute, *change.pin):
        wishes = [one for one in wishes if not same(one.more, text.strip())]
    for text in dict.fromkeys(map(str.strip, change.mute)):
        found = _fields_of(text, catalogue)
        wishes.append(
            Wish(filter={name: {"nin": values} for name, values in found.items()}) if found else Wish(less=text)
        )
    return wishes + [Wish(more=_tag_of(text, catalogue)) for text in dict.fromkeys(map(str.strip, change.pin))]


def _unmuted(wishes: Sequence[Wish], text: str, own: Sequence[str]) -> list[Wish]:
    out: list[Wish] = []
    for one in wishes:
        if same(one.less, text):
            continue
        out_of = barred(one)
        left = [(name, value) for name, value in out_of if not any(same(tag, text) for tag in tag_of(name, value, own))]
        if len(left) == len(out_of):
            out.append(one)
        elif left:
            tests = {name: {"nin": [value for other, value in left if other == name]} for name, _ in left}
            out.append(msgspec.structs.replace(one, filter=tests))
    return out


def _codes(text: str, catalogue: Catalogue) -> list[int]:
    """The tags that ``text`` names: that one, or all with this value."""
    names = catalogue.tags.ids
    exact = [code for code, name in enumerate(names) if name.casefold() == text.casefold()]
    return exact or [code for code, name in enumerate(names) if same(name, text)]


def _tag_of(text: str, catalogue: Catalogue) -> str:
    """A tag as the catalogue writes it; other words as they are."""
    found = _codes(text, catalogue)
    return catalogue.tags.ids[found[0]] if len(found) == 1 else text


def _fields_of(text: str, catalogue: Catalogue) -> dict[str, list[Any]]:
    """Fields, and in each the values, from which the tags come that ``text`` names. O(items)."""
    found: dict[str, dict[Any, None]] = {}
    own = catalogue.settings.tag_fields
    for code in _codes(text, catalogue):
        tag = catalogue.tags.ids[code]
        for row in np.flatnonzero((catalogue.side().tags == code).any(axis=1))[:_LOOKED].tolist():
            for name, value in catalogue.state.item_fields.get(row, {}).items():
                for one in value if isinstance(value, list) else [value]:
                    if tag_of(name, one, own) == [tag]:
                        found.setdefault(name, {})[one] = None
    return {name: list(values) for name, values in found.items()}


# ------------------------------------------------------------------------------------------ export


def export(host: Known, subject: str, profile: UserProfile, lock: AbstractContextManager[object]) -> Iterator[Kept]:
    """Everything that is kept of a subject, table by table, ``profile`` first. Reads their part of the log, and all of
    the decision log."""
    yield Kept("profile", profile)
    with lock:
        held = state_of(host.state, subject)
    yield Kept("state", held)
    for record in host.parts.store.find(subject, None, None):
        yield Kept("events", event_of(record), record.seq)
    for decision in host.parts.decisions.of([subject]):
        yield Kept("decisions", decision)
    for decision in replayed_of(host.parts, host.settings, [subject]):
        yield Kept("replayed", decision)


def replayed_of(parts: Parts, settings: Settings, subjects: Collection[str]) -> Iterator[Decision]:
    """Decisions of the last training's replay about any of ``subjects``."""
    if parts.path is not None and (parts.path / "replay").is_dir():
        yield from DecisionLog(parts.path / "replay", settings.decisions, read_only=True).of(subjects)


def state_of(state: State, subject: str) -> dict[str, Any]:
    """What the state holds of a subject beside the profile: fields as sent, counters, items had, places in crowds."""
    row = state.users.get(subject)
    if row < 0:
        return {}
    names = state.items.ids
    rows, counts, last, hidden = (column.tolist() for column in state.seen_row(row))
    said = state.said_by.of(row)
    crowds = state.item("crowd") & 0xFFFFFFFF
    fields: dict[str, FieldValue] = state.user_fields.get(row, {})
    return {
        "fields": dict(fields),
        "counters": {
            name: column[row].item() for name, column in state.user_columns.items() if row < len(column)
        },
        "seen": [
            {"item": names[item], "times": times, "last": newest, "hidden": away}
            for item, times, newest, away in zip(rows, counts, last, hidden, strict=True)
        ],
        "said": None if said is None else {"texts": said.texts, "sentiment": said.mean},
        "among_the_latest_of": [names[item] for item in np.flatnonzero((crowds == row + 1).any(axis=1)).tolist()],
    }  # fmt: skip
