"""Bad input: each case with its exact status and its exact sentence. Nothing is lost, the service lives on."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.serve.service import Service, Start, ndjson

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
DEEP = 200_000
ONE_MB = "x" * 1_000_000
BIG = 123456789012345678901234567890


@dataclass(frozen=True)
class Case:
    """One request, and what it must be answered."""

    name: str
    path: str
    status: int
    message: str
    body: Any = None
    """Bytes are sent as they are, anything else as JSON; None sends a GET."""
    headers: dict[str, str] | None = None
    method: str | None = None

    def send(self, client: httpx.Client) -> httpx.Response:
        content = self.body if isinstance(self.body, bytes | None) else json.dumps(self.body).encode()
        method = self.method or ("GET" if content is None else "POST")
        headers = self.headers if self.headers is not None else JSON if content is not None else {}
        return client.request(method, self.path, content=content, headers=headers)


def click(**changes: Any) -> dict[str, Any]:
    """A good interaction, changed; None removes a key."""
    event = {"event": "interaction", "user": "u1", "item": "tea-0", **changes}
    return {key: value for key, value in event.items() if value is not None}


def rank(**changes: Any) -> dict[str, Any]:
    """A good rank request, changed."""
    return {"user": "u1", "items": ["tea-0", "wine-1"], **changes}


E = "/v1/events"
R = "/v1/rank"
M = "/v1/recommend"
DEEP_SENTENCE = "The body is nested too deeply to be read."

EVENTS = [
    Case("empty body", E, 400, "The body is empty: send one event, an array of events, or NDJSON.", b""),
    Case("only blanks", E, 400, "The body is empty: send one event, an array of events, or NDJSON.", b" \n\t "),
    Case("empty array", E, 422, "The array is empty: send at least one event.", []),
    Case("cut short", E, 400, "The body is not valid JSON: Input data was truncated.", b'{"event":"item"'),
    Case("cut array", E, 400, "The body is not valid JSON: Input data was truncated.", b'[{"event":"item"}'),
    Case("NaN is not JSON", E, 400, "The body is not valid JSON: JSON is malformed: invalid character (byte 58).",
         b'{"event":"interaction","user":"u1","item":"tea-0","value":NaN}'),
    Case("number too large for a float", E, 422, "Number out of range - at `$.value`.",
         b'{"event":"interaction","user":"u1","item":"tea-0","value":1e999}'),
    Case("broken UTF-8", E, 400, "The body is not valid UTF-8: byte 0xff at position 25.",
         b'{"event":"item","item":"a\xff"}'),
    Case("lone surrogate", E, 400, "The body is not valid JSON: Input data was truncated.",
         b'{"event":"item","item":"\\ud800"}'),
    Case("a number instead of an event", E, 422, "Expected `object`, got `int`.", 7),
    Case("null instead of an event", E, 422, "Expected `object`, got `null`.", b"null"),
    Case("no kind", E, 422, "Object missing required field `event`.", {"item": "a"}),
    Case(
        "unknown kind",
        E,
        422,
        "Invalid value 'buy' - at `$.event`: use item, user, impression or interaction, whose type says what was done.",
        {"event": "buy", "item": "a"},
    ),
    Case("unknown key", E, 422, "Object contains unknown field `colour`.", click(colour="red")),
    Case("missing item", E, 422, "Object missing required field `item`.", click(item=None)),
    Case("item of a wrong type", E, 422, "Expected `str`, got `int` - at `$.item`.", click(item=5)),
    Case("value of a wrong type", E, 422, "Expected `float | null`, got `str` - at `$.value`.", click(value="5")),
    Case("empty id", E, 422, "item is empty: an id has 1 to 512 bytes.", click(item="")),
    Case("huge id", E, 422, "item has 10000 bytes; an id has 1 to 512.", click(item="x" * 10_000)),
    Case("id too long in bytes", E, 422, "item has 600 bytes; an id has 1 to 512.", click(item="茶" * 200)),
    Case("NUL in an id", E, 422, "user contains a NUL character, which ids may not.", click(user="a\0b")),
    Case("nobody", E, 422,
         "Neither user nor session is given: an interaction or impression needs one of them.", click(user=None)),
    Case("a time in words", E, 422,
         "timestamp 'yesterday' is neither ISO-8601 (2026-01-31T12:00:00Z) nor Unix milliseconds.",
         click(timestamp="yesterday")),
    Case("a time before 1970", E, 422,
         "timestamp -1 is out of range: it must lie between 1970 and 9999, in milliseconds.", click(timestamp=-1)),
    Case("a time after 9999", E, 422,
         f"timestamp {BIG} is out of range: it must lie between 1970 and 9999, in milliseconds.",
         click(timestamp=BIG)),
    Case("a time with a fraction", E, 422, "Expected `int | str | null`, got `float` - at `$.timestamp`.",
         click(timestamp=1.5)),
    Case("a time in odd digits", E, 422,
         "timestamp '²' is neither ISO-8601 (2026-01-31T12:00:00Z) nor Unix milliseconds.", click(timestamp="²")),
    Case("text of 1 MB", E, 413, "text has 1000000 bytes; one text may have 65536.", click(text=ONE_MB)),
    Case("field of 1 MB", E, 413, "fields.title has 1000000 bytes; one text may have 65536.",
         {"event": "item", "item": "a", "fields": {"title": ONE_MB}}),
    Case("huge integer in a field", E, 422, "fields.price is out of range for a 64-bit integer.",
         {"event": "item", "item": "a", "fields": {"price": BIG}}),
    Case("object in a field", E, 422,
         "Expected `bool | int | float | str | array`, got `object` - at `$.fields[...]`.",
         {"event": "item", "item": "a", "fields": {"size": {"w": 1}}}),
    Case("too many fields", E, 422, "fields has 201 fields; at most 200 are allowed.",
         {"event": "item", "item": "a", "fields": {f"f{n}": n for n in range(201)}}),
    Case("items of a wrong type", E, 422, "Expected `array`, got `str` - at `$.items`.",
         {"event": "impression", "user": "u1", "items": "tea-0"}),
    Case("none of three is good", E, 422,
         "None of the 3 events is good. The first: Expected `object`, got `int`.", [1, click(item=""), {}]),
    Case("NDJSON, every line broken", E, 422,
         "None of the 2 events is good. The first: Not valid JSON: Input data was truncated.", b"{\n[", NDJSON),
    Case("deep arrays", E, 400, DEEP_SENTENCE, b"[" * DEEP),
    Case("deep objects", E, 400, DEEP_SENTENCE,
         b'{"event":"item","item":"a","fields":' + b'{"a":' * DEEP + b"}" * (DEEP + 1)),
    Case("deep line of NDJSON", E, 422, "Not readable: it is nested too deeply.",
         b'{"other":' + b"[" * DEEP + b"]" * DEEP + b',"event":"item","item":"a"}', NDJSON),
    Case("plain text", E, 415,
         "Content-Type 'text/plain' is not supported: send application/json or application/x-ndjson.",
         b"hello", {"content-type": "text/plain"}),
    Case("no content type", E, 415, "Content-Type is missing: send application/json.", b"{}", {}),
    Case("gzip", E, 415, "Content-Encoding 'gzip' is not supported: send the body as it is.", b"\x1f\x8b",
         {**JSON, "content-encoding": "gzip"}),
    Case("other charset", E, 415, "The charset 'latin-1' is not supported: send UTF-8.", b"{}",
         {"content-type": "application/json; charset=latin-1"}),
    Case("query parameters", E + "?id=1", 400,
         "/v1/events takes no query parameters: put them into the body.", click()),
]  # fmt: skip

REQUESTS = [
    Case("empty body", R, 400, "The body is not valid JSON: Input data was truncated.", b""),
    Case("an array", R, 422, "Expected `object`, got `array`.", []),
    Case("no items", R, 422, "Object missing required field `items`.", {"user": "u1"}),
    Case("empty candidates", R, 422,
         "items is empty: send the candidates to rank, or use recommend to have them retrieved.", rank(items=[])),
    Case("duplicate candidates", R, 422, "items[1] 'a' is there twice: each candidate may be sent once.",
         rank(items=["a", {"id": "a"}])),
    Case("too many candidates", R, 422, "items has 10001 candidates; at most 10000 are allowed.",
         rank(items=[str(n) for n in range(10_001)])),
    Case("candidate of a wrong type", R, 422, "Expected `str`, got `int` - at `$.items[0].id`.",
         rank(items=[{"id": 5}])),
    Case("candidate without id", R, 422, "Object missing required field `id` - at `$.items[0]`.", rank(items=[{}])),
    Case("candidate with an empty id", R, 422, "items[1] is empty: an id has 1 to 512 bytes.",
         rank(items=["a", ""])),
    Case("negative k", R, 422, "k is -1; it must lie between 1 and 1000.", rank(k=-1)),
    Case("k of zero", R, 422, "k is 0; it must lie between 1 and 1000.", rank(k=0)),
    Case("huge k", R, 422, f"k is {BIG}; it must lie between 1 and 1000.", rank(k=BIG)),
    Case("k with a fraction", R, 422, "Expected `int | null`, got `float` - at `$.k`.", rank(k=1.5)),
    Case("k in words", R, 422, "Expected `int | null`, got `str` - at `$.k`.", rank(k="ten")),
    Case("k of true", R, 422, "Expected `int | null`, got `bool` - at `$.k`.", rank(k=True)),
    Case("unknown key", R, 422, "Object contains unknown field `limit`.", rank(limit=5)),
    Case("unknown seen", R, 422, "Invalid enum value 'maybe' - at `$.seen`.", rank(seen="maybe")),
    Case("unknown policy", R, 422,
         "policy 'random' is unknown; use greedy, plackett_luce, epsilon_greedy, linucb, thompson.",
         rank(policy="random")),
    Case("user of a wrong type", R, 422, "Expected `str | null`, got `int` - at `$.user`.", rank(user=1)),
    Case("broken UTF-8", R, 400,
         "The body is not valid UTF-8: byte 0xff at position 9.",
         b'{"user":"\xff","items":["a"]}'),
    Case("query of 1 MB", R, 413, "query has 1000000 bytes; one text may have 65536.", rank(query=ONE_MB)),
    Case("nested context", R, 422,
         "Expected `bool | int | float | str | array`, got `object` - at `$.context[...]`.",
         rank(context={"device": {"os": "x"}})),
    Case("unknown operator", R, 422,
         "filter.price.near: 'near' is no comparison; known: eq, ne, lt, lte, gt, gte, in, nin, exists.",
         rank(filter={"price": {"near": 3}})),
    Case("operator of a wrong type", R, 422, "filter.price.lt must be a string, a number or a boolean.",
         rank(filter={"price": {"lt": [1]}})),
    Case("empty or", R, 422, "filter.or must be a non-empty list of filters.", rank(filter={"or": []})),
    Case("huge number in a filter", R, 422, "a number of filter is out of range for a 64-bit integer.",
         rank(filter={"price": {"eq": BIG}})),
    Case("deep filter", R, 422, "filter is nested more than 64 deep.",
         rank(filter=json.loads('{"not":' * 100 + '{"a":{"eq":1}}' + "}" * 100))),
    Case("deeper filter", R, 400, DEEP_SENTENCE,
         b'{"items":["a"],"filter":' + b'{"not":' * DEEP + b"1" + b"}" * (DEEP + 1)),
    Case("NDJSON", R, 415, "Content-Type 'application/x-ndjson' is not supported: send application/json.",
         b"{}", NDJSON),
    Case("items for recommend", M, 422, "Object contains unknown field `items`.", rank()),
    Case("exclude of a wrong type", M, 422, "Expected `str`, got `int` - at `$.exclude[0]`.", {"exclude": [1]}),
    Case("bad session", M, 422, "session contains a NUL character, which ids may not.", {"session": "\0"}),
]  # fmt: skip

OTHERS = [
    Case("unknown path", "/v1/nothing", 404, "There is nothing at /v1/nothing; /docs lists what there is."),
    Case("empty user", "/v1/users/", 404, "There is nothing at /v1/users/; /docs lists what there is."),
    Case("doubled slash", "/v1//models", 404, "There is nothing at /v1//models; /docs lists what there is."),
    Case("traversal", "/static/..%2f..%2fconfig.py", 404, "The dashboard has no file '..%2f..%2fconfig.py'."),
    Case("NUL in a path", "/v1/users/a%00", 422, "user contains a NUL character, which ids may not."),
    Case("broken UTF-8 in a path", "/v1/users/%ff", 400, "The user in the path is not valid UTF-8."),
    Case("huge id in a path", "/v1/users/" + "x" * 600, 422, "user has 600 bytes; an id has 1 to 512."),
    Case("unknown query parameter", "/v1/users?page=2", 422,
         "The query parameter 'page' is unknown; use prefix or limit."),
    Case("limit in words", "/v1/users?limit=ten", 422, "limit is 'ten'; it must be a whole number from 1 to 1000."),
    Case("limit too large", "/v1/users?limit=1001", 422,
         "limit is '1001'; it must be a whole number from 1 to 1000."),
    Case("broken query string", "/v1/users?prefix=%ff", 400,
         "The query string can't be read: percent-encode it as UTF-8."),
    Case("GET a hot route", R, 405, "GET is not allowed on /v1/rank; use POST, OPTIONS."),
    Case("DELETE a route", "/v1/models", 405, "DELETE is not allowed on /v1/models; use GET, HEAD, OPTIONS.",
         method="DELETE"),
    Case("a body where none belongs", "/v1/models/rollback", 422, "This request takes no body.", {"a": 1}),
    Case("a form for an action", "/v1/train", 415,
         "Content-Type 'application/x-www-form-urlencoded' is not supported: send application/json.", b"",
         {"content-type": "application/x-www-form-urlencoded"}),
    Case("no key configured", "/login", 409,
         "No API key is configured here, so there is nothing to sign in to.", {"key": "x"}),
    Case("a form without the field", "/login", 400, "The form has no field `key`.", b"a=b",
         {"content-type": "application/x-www-form-urlencoded"}),
    Case("dashboard items, wrong type", "/dashboard/items", 422,
         "Expected `str`, got `int` - at `$.ids[0]`.", {"ids": [1]}),
    Case("dashboard items, deep", "/dashboard/items", 422, "Expected `str`, got `array` - at `$.ids[0]`.",
         b'{"ids":' + b"[" * DEEP),
    Case("dashboard items, broken UTF-8", "/dashboard/items", 400,
         "The body is not valid UTF-8: byte 0xff at position 9.", b'{"ids":["\xff"]}'),
]  # fmt: skip

CASES = [*EVENTS, *REQUESTS, *OTHERS]


@pytest.fixture(scope="module")
def service(start: Start, tmp_path_factory: pytest.TempPathFactory, world: list[dict[str, Any]]) -> Service:
    service = start(tmp_path_factory.mktemp("bad") / "shop.palate")
    answer = service.request("POST", E, content=ndjson(world), headers=NDJSON)
    assert answer.status_code == 200, answer.text
    return service


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.path[:24]} {case.name}")
def test_exact_status_and_sentence(service: Service, case: Case) -> None:
    with httpx.Client(base_url=service.url, timeout=30) as client:
        answer = case.send(client)
    error = answer.json()["error"]
    assert (answer.status_code, error["message"]) == (case.status, case.message)
    assert set(error) == {"code", "message", "where"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    if case.status == 405:
        assert answer.headers["allow"] in case.message


def test_where_names_the_value(service: Service) -> None:
    assert service.post(R, rank(k=-1)).json()["error"]["where"] == "k"
    assert service.post(R, rank(items=["a", ""])).json()["error"]["where"] == "items[1]"
    assert service.post(R, rank(items=[{"id": 5}])).json()["error"]["where"] == "items[0].id"
    assert service.post(E, [click(item="")]).json()["error"]["where"] == "[0]"


def test_good_events_of_a_bad_batch_are_kept(service: Service) -> None:
    before = service.request("GET", "/v1/status").json()["counts"]["seq"]
    batch = [click(id="kept-1"), 5, click(item=""), click(id="kept-2"), {"event": "item", "item": "a", "x": 1}]
    answer = service.post(E, batch).json()
    assert answer["accepted"] == 2
    assert answer["seq"] == before + 2
    assert [entry["index"] for entry in answer["rejected"]] == [1, 2, 4]
    assert [entry["index"] for entry in answer["assigned"]] == [0, 3]
    again = service.post(E, batch)
    assert (again.status_code, again.json()["accepted"], again.json()["duplicates"]) == (200, 0, 2)


def test_a_refused_batch_names_every_event(service: Service) -> None:
    answer = service.post(E, [1, click(item="")])
    assert answer.status_code == 422
    assert answer.json()["rejected"] == [
        {"index": 0, "error": "Expected `object`, got `int`."},
        {"index": 1, "error": "item is empty: an id has 1 to 512 bytes."},
    ]
    assert answer.json()["accepted"] == 0


def test_unknown_users_and_items_are_no_errors(service: Service) -> None:
    ranking = service.post(R, {"user": "nobody", "items": ["nothing", "tea-0"]})
    assert ranking.status_code == 200
    assert ranking.json()["cold"]["user"] is True
    assert ranking.json()["items"][-1]["id"] == "nothing"
    assert service.request("GET", "/v1/users/nobody").json()["known"] is False
    assert service.request("GET", "/v1/items/nothing").status_code == 404
    assert service.request("GET", "/v1/explain/nothing/tea-0").status_code == 404
    refused = service.request("POST", "/v1/models/..%2f..%2fetc/activate")
    assert refused.status_code == 404
    assert refused.json()["error"]["message"].startswith("There is no model '../../etc' in ")


@pytest.mark.parametrize("name", ["a/b", "..", ".", "%2F", "a?b#c", "茶 🍵", "%zz", " ", "\n", "a;b=c", "x" * 512])
def test_any_opaque_id_works_in_a_path(service: Service, name: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in name.encode())
    assert service.post(E, click(user=name, item=name)).status_code == 200
    # A client library would fold "/v1/users/%2e%2e": the request is written by hand.
    body = raw(service, f"GET /v1/users/{quoted} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    profile = json.loads(body.partition(b"\r\n\r\n")[2])
    assert (profile["user"], profile["interactions"]) == (name, 1)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v1/rank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         b"Content-Length: 99999999999\r\n\r\n{", b"413"),
        (b"POST /v1/rank HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
         b"Content-Length: many\r\n\r\n{", b"400"),
        (b"GET /v1/users/\xe4\xbd\xa0 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET /v1/models HTTP/1.0\r\n\r\n", b"403"),
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"BREW /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"TRACE /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
    ],
)  # fmt: skip
def test_broken_http(service: Service, head: bytes, status: bytes) -> None:
    assert raw(service, head, whole=False).split(b" ")[1] == status


def test_a_body_over_the_limit_is_refused_and_the_refusal_arrives(service: Service) -> None:
    sentence = "The body has more than 16777216 bytes, the most that is accepted; send smaller batches."
    answer = service.request("POST", E, content=b" " * (17 * 1024 * 1024), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["message"]) == (413, sentence)
    # Without a declared length (chunked) the limit holds while reading.
    chunks = (b" " * 65536 for _ in range(300))
    answer = service.request("POST", E, content=chunks, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["message"]) == (413, sentence)


def test_too_many_events_in_one_body(service: Service) -> None:
    answer = service.request("POST", E, content=b"{}\n" * 100_001, headers=NDJSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == "The body holds more than 100000 events; send them in smaller batches."


def test_nothing_was_lost_and_the_service_lives(service: Service, world: list[dict[str, Any]]) -> None:
    """Runs last in this file: every event of the start is a duplicate now, and nothing answered 5xx."""
    answer = service.request("POST", E, content=ndjson(world), headers=NDJSON).json()
    assert (answer["accepted"], answer["duplicates"]) == (0, len(world))
    assert service.request("GET", "/readyz").status_code == 200
    assert service.post(R, rank()).status_code == 200
    metrics = service.request("GET", "/metrics").text
    answered = [line for line in metrics.splitlines() if line.startswith("palate_requests_total")]
    assert answered
    assert [line for line in answered if 'status="5' in line] == []


def raw(service: Service, request: bytes, whole: bool = True) -> bytes:
    """What comes back for bytes written by hand; ``whole``: until the server closes."""
    host, port = httpx.URL(service.url).host, httpx.URL(service.url).port
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(request)
        answer = connection.recv(65536)
        while whole and (more := connection.recv(65536)):
            answer += more
    return answer
