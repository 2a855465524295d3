"""Personal data in texts: nearly all of it is masked, and what is none stays."""

from __future__ import annotations

import random
from collections.abc import Callable

import palate
from palate.config import load
from palate.redact import redact
from palate.types import Interaction
from tests.engines import filled, item, memory

SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗"
GIVEN = "伟芳娜敏静强磊洋艳勇军杰娟涛明超秀英华平刚桂兰"
FIRST = ("Anna", "John", "Mary", "Peter", "Zoë", "Olivia", "José", "Fatima", "Wei", "Oluwaseun")
LAST = ("Smith", "O'Brien", "Müller", "Garcia", "Nguyen", "Kowalski", "Smith-Jones", "Okafor", "Rossi", "Tanaka")
DOMAINS = ("example.com", "mail.example.org", "qq.com", "163.com", "uni.ac.uk", "firma.de")
STREETS = ("Green Park", "Main", "King", "Old Mill", "Cherry Tree")
WAYS = ("Street", "Road", "Avenue", "Lane", "St", "Rd", "Drive")
ROADS = ("建国路", "人民大道", "中山北路", "南京西路", "学院路")

English = "Loved it. {} Please write back, the parcel came late."
Chinese = "东西不错，{}，请尽快处理，谢谢。"


def digits(r: random.Random, count: int) -> str:
    return "".join(str(r.randrange(10)) for _ in range(count))


def card(r: random.Random) -> str:
    body = "4" + digits(r, 14)
    total = sum(d if n % 2 else (2 * d - 9 * (d > 4)) for n, d in enumerate(map(int, body)))
    whole = body + str(-total % 10)
    return r.choice(
        [
            whole,
            " ".join(whole[n : n + 4] for n in range(0, 16, 4)),
            "-".join(whole[n : n + 4] for n in range(0, 16, 4)),
        ]
    )


def email(r: random.Random) -> str:
    name = r.choice(
        [f"{r.choice(FIRST[:4]).lower()}.{digits(r, 3)}", f"user_{digits(r, 5)}", digits(r, 9), f"a+{digits(r, 2)}"]
    )
    return f"{name}@{r.choice(DOMAINS)}"


def mobile(r: random.Random) -> str:
    number = f"1{r.choice('3456789')}{digits(r, 9)}"
    return r.choice(
        [
            number,
            f"+86 {number}",
            f"{number[:3]}-{number[3:7]}-{number[7:]}",
            f"{number[:3]} {number[3:7]} {number[7:]}",
        ]
    )


def abroad(r: random.Random) -> str:
    return r.choice(
        [
            f"({r.randrange(200, 990)}) {r.randrange(200, 990)}-{digits(r, 4)}",
            f"+1 {r.randrange(200, 990)} {r.randrange(200, 990)} {digits(r, 4)}",
            f"+44 20 {digits(r, 4)} {digits(r, 4)}",
            f"+49 {r.randrange(100, 999)} {digits(r, 7)}",
            f"{r.randrange(200, 990)}-{r.randrange(200, 990)}-{digits(r, 4)}",
            f"0{r.randrange(10, 99)}-{digits(r, 8)}",
        ]
    )


def identity(r: random.Random) -> str:
    born = f"{r.randrange(1950, 2010)}{r.randrange(1, 13):02d}{r.randrange(1, 29):02d}"
    return r.choice(["11", "31", "44"]) + "0105" + born + digits(r, 3) + r.choice("0123456789X")


def ssn(r: random.Random) -> str:
    return f"{r.randrange(100, 600)}-{r.randrange(10, 99)}-{digits(r, 4)}"


def iban(r: random.Random) -> str:
    return f"DE{digits(r, 2)} {digits(r, 4)} {digits(r, 4)} {digits(r, 4)} {digits(r, 4)} {digits(r, 2)}"


def machine(r: random.Random) -> str:
    return ".".join(str(r.randrange(1, 256)) for _ in range(4))


def account(r: random.Random) -> str:
    return f"{r.choice(['abc', 'lucky', 'wxid'])}_{digits(r, 5)}"


def plate(r: random.Random) -> str:
    return r.choice("京沪粤川浙") + r.choice("ABCDE") + digits(r, 5)


def name(r: random.Random) -> str:
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


def han_name(r: random.Random) -> str:
    return r.choice(SURNAMES) + "".join(r.choice(GIVEN) for _ in range(r.randrange(1, 3)))


def street(r: random.Random) -> str:
    return f"{r.randrange(1, 400)} {r.choice(STREETS)} {r.choice(WAYS)}"


def han_street(r: random.Random) -> str:
    return f"{r.choice(ROADS)}{r.randrange(1, 400)}号{r.randrange(1, 20)}栋{r.randrange(100, 999)}室"


KINDS: list[tuple[str, str, Callable[[random.Random], str]]] = [
    (English, "my mail is {}.", email), (Chinese, "邮箱{}", email),
    (Chinese, "我的手机是{}", mobile), (Chinese, "电话：{}", mobile), (English, "Call {}.", abroad),
    (Chinese, "身份证号{}", identity), (English, "My SSN: {}.", ssn), (English, "Refund to {}.", iban),
    (English, "Card {} was charged twice.", card), (Chinese, "银行卡号 {}", card),
    (English, "from {} it fails.", machine),
    (Chinese, "加我微信：{}", account), (English, "Telegram: {}.", account), (Chinese, "车牌{}", plate),
    (English, "My name is {}.", name), (Chinese, "我叫{}", han_name), (English, "Send it to {}.", street),
    (Chinese, "送到{}", han_street),
]  # fmt: skip

PLAIN = (
    "Great film, 10/10, I watched it 3 times in 2021 and again on 2024-05-06 at 20:30.",
    "Bought 2 for 1,299.00 each, version 2.1, 1920x1080, 16GB, weighs 1.25 kg.",
    "ISBN 978-3-16-148410-0, order by 12/31, chapters 1-12, pages 100-245.",
    "At home we loved it; meet me at noon. This is really good, I am called back.",
    "这部电影很好看，2021年看了3遍，评分9.5，价格1299元，第12集最精彩。",
    "物流很快，3天就到了，2号店的服务比1号店好，买了100个。",
    "Works well with WhatsApp groups, Telegram channels and my QQ space.",
    "The 1990s, 50% off, top 100, size 38-40, #1 in its class, 24/7.",
)


def samples() -> list[tuple[str, str]]:
    """500 texts, each with one piece of personal data, and that piece."""
    r = random.Random(20261129)
    out: list[tuple[str, str]] = []
    for number in range(500):
        frame, said, make = KINDS[number % len(KINDS)]
        piece = make(r)
        out.append((frame.format(said.format(piece)), piece))
    return out


def test_personal_data_is_masked() -> None:
    found = samples()
    left = [(text, redact(text)) for text, piece in found if piece in redact(text)]
    assert 1 - len(left) / len(found) >= 0.98, left[:10]


def test_what_stands_around_it_stays() -> None:
    for text, _ in samples():
        masked = redact(text)
        assert masked.startswith(text[:5])
        assert masked.endswith(text[-3:])
        assert "[" in masked


def test_what_is_none_stays() -> None:
    assert [text for text in PLAIN if redact(text) != text] == []


def test_once_masked_it_stays_as_it_is() -> None:
    for text, _ in samples():
        assert redact(redact(text)) == redact(text)


def test_texts_of_events_and_queries_are_masked_before_they_are_written() -> None:
    events: list[palate.Item | Interaction] = [
        item("a", title="a film"),
        Interaction(id="e", user="u", item="a", type="review", text="Loved it! Mail me: ann@example.com"),
    ]
    for masked in (True, False):
        with filled(list(events), privacy={"redact": masked}) as engine:
            kept = [event.text for event in engine.export() if isinstance(event, Interaction)]
            assert kept == ["Loved it! Mail me: [email]" if masked else "Loved it! Mail me: ann@example.com"]
            engine.recommend("u", query="a film for ann@example.com")
            log = engine.parts.decisions.log
            assert log is not None
            queries = [decision.request.query for decision in log.read() if decision.request]
            assert queries == ["a film for [email]" if masked else "a film for ann@example.com"]


def test_it_is_off_by_default() -> None:
    assert not load(None, environ={}).privacy.redact
    with memory() as engine:
        engine.ingest([Interaction(user="u", item="a", text="ann@example.com")])
        assert [event.text for event in engine.export() if isinstance(event, Interaction)] == ["ann@example.com"]
