"""The dashboard: one page, hand-written ES modules and CSS, no build and nothing from another host.

The page asks the same API as everybody else, but for two routes of its own: titles and tags of many items at once,
and the last evaluation and replay where there may be none (the API's 404 would be an error in the browser's console).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import msgspec
from jinja2 import Environment, FileSystemLoader
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler

from palate.config import Settings
from palate.content.text import item_tags, title
from palate.errors import InvalidInput, NotFound
from palate.requests import parse_request
from palate.types import FieldValue

_HERE = Path(__file__).parent
_PLOTLY = "plotly.min.js"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_MOST_ITEMS = 2000

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Scripts only from this service. Inline styles are for Plotly, which writes ``style`` attributes into its SVG."""


class Catalogue(Protocol):
    """What the dashboard needs of an engine besides the API."""

    path: Path | None

    def item(self, item_id: str, /) -> Mapping[str, FieldValue]:
        """The fields of an item. Errors: ``NotFound``."""
        ...


class ItemTag(msgspec.Struct):
    """``tag`` as profiles name it, and the field that a filter on it compares."""

    tag: str
    field: str


class ItemCard(msgspec.Struct):
    """What the page shows of an item; an unknown item has its id as title."""

    id: str
    title: str
    tags: list[ItemTag]


class ItemQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which items the page wants to name."""

    ids: list[str]


class ItemCards(msgspec.Struct):
    """One card an id, in the order asked."""

    items: list[ItemCard]


def plotly_file() -> Path | None:
    """Where the installed plotly keeps its browser library, without importing it (which takes half a second)."""
    spec = find_spec("plotly")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "package_data" / _PLOTLY
        if path.is_file():
            return path
    return None


def item_card(item_id: str, fields: Mapping[str, FieldValue], tag_fields: Sequence[str] = ()) -> ItemCard:
    """Title and tags of an item, as text: the page escapes nothing because it never parses them as markup."""
    field_of: dict[str, str] = {}
    for name, value in fields.items():
        if not tag_fields or name in tag_fields:
            for tag in item_tags({name: value}, (name,) if tag_fields else ()):
                field_of.setdefault(tag, name)
    tags = [ItemTag(tag, field_of[tag]) for tag in item_tags(fields, tag_fields) if tag in field_of]
    return ItemCard(item_id, title(fields) or item_id, tags)


def routes(engine: Catalogue, settings: Settings) -> list[HTTPRouteHandler]:
    """The handlers of ``/``, ``/login``, ``/static/{name}``, ``/favicon.ico`` and ``/dashboard/…``.

    Files are read once, here; a page costs a template's rendering at start and a copy of bytes afterwards.
    """
    pages = Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True)
    plotly = plotly_file()
    context = {
        "version": _version(),
        "plotly": plotly is not None,
        "keys": bool(settings.serve.keys),
        "folder": _folder(engine),
    }
    index = pages.get_template("index.html").render(context)
    sign_in = pages.get_template("login.html").render(context)
    static = {path.name: path.read_bytes() for path in sorted((_HERE / "static").iterdir()) if path.suffix in _TYPES}
    tag_fields = settings.language.tag_fields

    @get("/", include_in_schema=False, sync_to_thread=False)
    def dashboard() -> Response[str]:
        """The dashboard."""
        return _page(index)

    @get("/login", include_in_schema=False, sync_to_thread=False)
    def login_page() -> Response[str]:
        """The page that trades an API key for the dashboard's session cookie."""
        if not settings.serve.keys:
            return Response("", status_code=303, headers={"location": "/"}, media_type="text/plain")
        return _page(sign_in)

    @get("/static/{name:str}", include_in_schema=False, sync_to_thread=False)
    def static_file(request: Request[Any, Any, Any]) -> Response[bytes]:
        """A file of the dashboard."""
        name: str = request.path_params["name"]
        if name == _PLOTLY and plotly is not None and name not in static:
            static[name] = plotly.read_bytes()
        content = static.get(name)
        if content is None:
            hint = ": install the plots with pip install 'palate[dashboard]'" if name == _PLOTLY else ""
            raise NotFound(f"The dashboard has no file {name[:80]!r}{hint}.", "name")
        tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
        # "no-cache" asks every time whether it changed, so that an upgrade never mixes two versions of the modules.
        headers = {"etag": tag, "cache-control": "no-cache"}
        media = _TYPES[Path(name).suffix]
        if request.headers.get("if-none-match") == tag:
            return Response(b"", status_code=304, headers=headers, media_type=media)
        return Response(content, headers=headers, media_type=media)

    @get("/favicon.ico", include_in_schema=False, sync_to_thread=False)
    def favicon() -> Response[bytes]:
        """The mark, for pages that name no icon: browsers ask for it by themselves."""
        return Response(static["mark.svg"], headers={"cache-control": "max-age=86400"}, media_type=_TYPES[".svg"])

    @post("/dashboard/items", status_code=200, include_in_schema=False)
    async def name_items(request: Request[Any, Any, Any]) -> ItemCards:
        """Titles and tags of items, for the dashboard."""
        data = parse_request(await request.body(), ItemQuery)
        if len(data.ids) > _MOST_ITEMS:
            raise InvalidInput(f"ids has {len(data.ids)} entries; ask for at most {_MOST_ITEMS} at once.", "ids")
        return ItemCards([_card_or_id(engine, item_id, tag_fields) for item_id in data.ids])

    @get("/dashboard/evaluation", media_type="application/json", include_in_schema=False, sync_to_thread=True)
    def evaluation() -> Response[bytes]:
        """The last evaluation, or null where none has been run."""
        return _latest(engine, "evaluation")

    @get("/dashboard/replay", media_type="application/json", include_in_schema=False, sync_to_thread=True)
    def replay() -> Response[bytes]:
        """The last replay, or null where none has been run."""
        return _latest(engine, "off-policy")

    return [dashboard, login_page, static_file, favicon, name_items, evaluation, replay]


def _latest(engine: Catalogue, folder: str) -> Response[bytes]:
    """The report that a command wrote last into a folder of the directory, or null."""
    report = engine.path / folder / "latest.json" if engine.path is not None else None
    content = report.read_bytes() if report is not None and report.is_file() else b"null"
    return Response(content, media_type="application/json")


def _card_or_id(engine: Catalogue, item_id: str, tag_fields: Sequence[str]) -> ItemCard:
    """A history may name an item that the catalogue never had or has deleted; then its id has to do."""
    try:
        return item_card(item_id, engine.item(item_id), tag_fields)
    except NotFound:
        return ItemCard(item_id, item_id, [])


def _page(html: str) -> Response[str]:
    headers = {"content-security-policy": CSP, "cache-control": "no-store", "x-frame-options": "DENY"}
    return Response(html, media_type="text/html", headers=headers)


def _folder(engine: Catalogue) -> str:
    """The directory to name in commands that the page shows; an engine in memory has none."""
    return str(engine.path) if engine.path is not None else "shop.palate"


def _version() -> str:
    try:
        return version("palate")
    except PackageNotFoundError:
        return ""
