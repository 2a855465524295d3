"""Which columns of a file mean what: a mapping given by the user, or columns recognised by their names.

A mapping is a dict or a TOML file; every key is optional, and a column that isn't named is still recognised::

    user = "client"                 # columns: user item session timestamp type value text title follows
    timestamp = "bought_at"
    time_format = "%d/%m/%Y %H:%M"  # strptime; or time_unit = "s" | "ms" | "us" | "ns"
    default_type = "purchase"       # the type of events that name none
    ignore = ["*.bak.csv"]          # files to leave out

    [files."ratings*.dat"]          # the same keys for some files only
    kind = "events"                 # events | items | users | follows
    delimiter = "::"
    columns = ["user", "item", "rating", "timestamp"]    # for a file without a header
    encoding = "latin-1"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

import msgspec

from palate.errors import ConfigError

Kind = Literal["events", "items", "users", "follows"]
TimeUnit = Literal["s", "ms", "us", "ns"]


ROLES = ("user", "item", "session", "timestamp", "type", "value", "text", "title", "follows")


class FileMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mapping of one file. The first nine keys are names of columns."""

    user: str | None = None
    item: str | None = None
    session: str | None = None
    timestamp: str | None = None
    type: str | None = None
    value: str | None = None
    text: str | None = None
    title: str | None = None
    follows: str | None = None
    kind: Kind | None = None
    default_type: str | None = None
    time_format: str | None = None
    time_unit: TimeUnit | None = None
    delimiter: str | None = None
    encoding: str | None = None
    columns: list[str] | None = None


class ColumnMapping(FileMapping, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mapping of a folder: keys for every file, ``files`` for those that match a pattern, ``ignore``."""

    files: dict[str, FileMapping] = {}
    ignore: list[str] = []

    def ignores(self, name: str) -> bool:
        """Whether the file ``name`` (its path inside the folder) is to be left out."""
        return any(_matches(name, pattern) for pattern in self.ignore)

    def check(self, names: Sequence[str], columns: Collection[str]) -> None:
        """Refuse what applies to nothing: a column that no file has, a pattern that no file matches."""
        for role in ROLES:
            wanted = getattr(self, role)
            if wanted is not None and wanted not in columns:
                known = ", ".join(sorted(columns)[:40])
                raise ConfigError(
                    f"The mapping names the column {wanted!r} for {role}; no file has it. There are: {known}."
                )
        for pattern in self.files:
            if not any(_matches(name, pattern) for name in names):
                raise ConfigError(f"The mapping is for files {pattern!r}; there is none among {', '.join(names)}.")

    def of(self, name: str) -> FileMapping:
        """What holds for the file ``name``: the general keys under those of each pattern that matches."""
        merged = {key: getattr(self, key) for key in FileMapping.__struct_fields__}
        for pattern, special in self.files.items():
            if _matches(name, pattern):
                merged.update({key: getattr(special, key) for key in merged if getattr(special, key) is not None})
        return FileMapping(**merged)


def _matches(name: str, pattern: str) -> bool:
    return fnmatch(name, pattern) or fnmatch(name.rsplit("/", 1)[-1], pattern)


def read_mapping(mapping: Mapping[str, Any] | ColumnMapping | str | Path | None, folder: Path) -> ColumnMapping:
    """What was given, else what ``folder/mapping.toml`` says, else an empty mapping. Errors: ``ConfigError``."""
    if isinstance(mapping, ColumnMapping):
        return mapping
    source = "the mapping"
    raw: object = mapping
    if mapping is None and (folder / "mapping.toml").is_file():
        mapping = folder / "mapping.toml"
    if isinstance(mapping, str | Path):
        source = str(mapping)
        try:
            raw = tomllib.loads(Path(mapping).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"The mapping {source} can't be read: {error}.") from None
    try:
        return msgspec.convert({} if raw is None else raw, ColumnMapping)
    except msgspec.ValidationError as error:
        keys = ", ".join(ColumnMapping.__struct_fields__)
        raise ConfigError(f"Bad key in {source}: {error}. Known keys: {keys}.") from None


# Names are compared without case and punctuation; the earlier name wins where a file has two.
_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        "user", "userid", "uid", "customer", "customerid", "client", "clientid", "member", "memberid", "visitor",
        "visitorid", "household", "householdid", "buyer", "buyerid", "reviewer", "reviewerid", "account", "accountid",
        "person", "personid", "subject",
    ),
    "session": ("session", "sessionid", "visitid"),
    "item": (
        "item", "itemid", "iid", "product", "productid", "movie", "movieid", "film", "filmid", "stockcode", "sku",
        "asin", "article", "articleid", "news", "newsid", "game", "gameid", "artist", "artistid", "track", "trackid",
        "song", "songid", "book", "bookid", "isbn", "video", "videoid", "business", "businessid", "recipe", "recipeid",
        "post", "postid",
    ),
    "timestamp": (
        "timestamp", "ts", "time", "datetime", "date", "eventtime", "eventtimestamp", "transactiontimestamp",
        "createdat", "created", "invoicedate", "orderdate", "purchasedate", "unixtime", "unixreviewtime", "reviewtime",
    ),
    "type": ("event", "eventtype", "eventname", "type", "action", "behavior", "behaviour", "interaction",
             "interactiontype"),
    "value": (
        "rating", "ratings", "stars", "score", "overall", "quantity", "qty", "units", "value", "weight", "count",
        "plays", "playcount", "hours", "amount",
    ),
    "text": ("review", "reviewtext", "text", "comment", "tag"),
    "title": ("title", "name", "itemname", "productname", "producttitle", "description"),
    "follows": (
        "follows", "followed", "followedid", "followee", "followeeid", "following", "followingid", "friend", "friendid",
        "trustee", "trusteeid",
    ),
}  # fmt: skip
_RATINGS = frozenset({"rating", "ratings", "stars", "score", "overall"})
_QUANTITIES = frozenset({"quantity", "qty", "units"})
_PRICES = frozenset({"price", "unitprice", "amount", "salesvalue"})
_USER_FILES = re.compile(r"user|customer|client|member|people|household|person", re.IGNORECASE)


def plain(name: str) -> str:
    """``User_ID`` as ``userid``."""
    return re.sub(r"[\W_]+", "", name).lower()


@dataclass(frozen=True, slots=True)
class Roles:
    """What a file is, and the positions of its columns that mean something (absent: none)."""

    kind: Kind
    at: Mapping[str, int]
    default_type: str
    value_name: str


def find_roles(name: str, columns: Sequence[str], mapping: FileMapping) -> Roles | None:
    """The roles of the columns of the file ``name``; None where it is neither events, items nor users.

    With user (or session) and item it is events; with an item only, the catalogue; with a user only, users; with a
    user and another whom they follow, one a row, and nothing else, follows. A file
    with neither but a column ``id`` is users where its name says so, else the catalogue.
    A mapped column need not be in every file, unless the file's kind is mapped too. Errors: ``ConfigError``.
    """
    at: dict[str, int] = {}
    plains = [plain(column) for column in columns]
    for role, names in _NAMES.items():
        wanted = getattr(mapping, role)
        if wanted is not None:
            if wanted in columns:
                at[role] = list(columns).index(wanted)
            elif mapping.kind is not None:
                raise ConfigError(f"{name} has no column {wanted!r} for {role}; it has {', '.join(columns)}.")
            continue
        found = next((plains.index(known) for known in names if known in plains), None)
        if found is not None and found not in at.values():
            at[role] = found
    if "user" not in at and "item" not in at and "session" not in at and "id" in plains:
        at["user" if mapping.kind == "users" or (mapping.kind is None and _USER_FILES.search(name)) else "item"] = (
            plains.index("id")
        )
    kind = mapping.kind or _kind(at, len(columns))
    if kind is None or not _complete(kind, at):
        if mapping.kind is not None:
            raise ConfigError(
                f"{name} is mapped as {mapping.kind}, but its columns ({', '.join(columns)}) don't tell "
                f"{'users and items' if mapping.kind == 'events' else mapping.kind} apart: name them in the mapping."
            )
        return None
    value = plains[at["value"]] if "value" in at else ""
    return Roles(
        kind, at, mapping.default_type or _default_type(value, plains, at), columns[at["value"]] if value else ""
    )


def _kind(at: Mapping[str, int], columns: int) -> Kind | None:
    if "follows" in at and "user" in at and "item" not in at and columns <= 3:
        return "follows"
    if "item" in at:
        return "events" if "user" in at or "session" in at else "items"
    return "users" if "user" in at else None


def _complete(kind: Kind, at: Mapping[str, int]) -> bool:
    if kind == "events":
        return "item" in at and ("user" in at or "session" in at)
    return ("item" if kind == "items" else "user") in at and (kind != "follows" or "follows" in at)


def _default_type(value: str, plains: Sequence[str], at: Mapping[str, int]) -> str:
    if value in _RATINGS:
        return "rating"
    if value in _QUANTITIES or (value in _PRICES and "quantity" in plains) or "purchase" in plains:
        return "purchase"
    if not value and "text" in at and plains[at["text"]] == "tag":
        return "tag"
    return "view"
