"""What texts say: signs, the rules one by one, aspects, and what mustn't happen with any text."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palate.feedback import words
from palate.feedback.opinion import CHARS, NOTHING, Opinion, understand, words_of
from palate.feedback.words import aspects


def grade(text: str) -> float:
    return understand(text).sentiment


def views(text: str) -> dict[str, float]:
    return {aspects().names[view.aspect]: view.sentiment for view in understand(text).views}


GOOD = [
    "I love it", "Great quality, fast delivery!", "not bad at all", "no complaints", "couldn't be happier",
    "highly recommend", "👍", "works like a charm :)", "a moving and beautifully acted film", "The food was delicious",
    "I can't get enough of this", "It was cheap but excellent", "very comfy", "I would recommend this to anybody",
    "好看", "非常满意", "物超所值，强烈推荐", "一点问题都没有，很喜欢", "没问题，质量很好", "太好了", "还不错",
    "虽然贵了点，但是很好用",
    "這本書真的很好看", "剧情精彩，演技出色", "😍", "物美价廉",
]  # fmt: skip
BAD = [
    "terrible, broke after a day", "not good", "I don't like it", "never again", "waste of money", "👎", ":(",
    "This is not worth the price", "too small", "hardly any good", "It lacks charm", "the plot is boring",
    "It was pretty but it fell apart", "What a disappointment!", "worst purchase ever", "I want my money back",
    "don't buy this", "was hoping for something better and got garbage", "不好看", "不推荐", "太贵了",
    "垃圾，千万别买", "质量太差了",
    "一点也不好", "非常失望", "虽然便宜，但是质量很差", "看不下去", "並不好看，浪費時間",
    "不喜欢", "没有什么好的", "😡", "难吃",
]  # fmt: skip
NEUTRAL = ["", "   ", "on a Tuesday", "第三章", "12345", "The parcel has a box.", "今天是星期二", "\0", "a" * 5000]


@pytest.mark.parametrize("text", GOOD)
def test_praise_is_praise(text: str) -> None:
    assert grade(text) > 0.1


@pytest.mark.parametrize("text", BAD)
def test_blame_is_blame(text: str) -> None:
    assert grade(text) < -0.1


@pytest.mark.parametrize("text", NEUTRAL)
def test_what_says_nothing_is_nothing(text: str) -> None:
    assert understand(text) == NOTHING


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("good", "very good"),
        ("good", "good!!!"),
        ("good", "GOOD value"),
        ("somewhat good", "good"),
        ("not good", "good"),
        ("not very good", "not bad"),
        ("terrible", "bad"),
        ("very bad", "slightly bad"),
        ("I love the colour but it broke", "It broke but I love the colour"),
        ("it would be great if it worked", "it is great"),
        ("is it good?", "it is good"),
        ("love it, hate it", "love it"),
        ("有点好看", "非常好看"),
        ("不太好看", "好看"),
        ("非常差", "有点差"),
        ("便宜，但是质量差", "质量差，但是便宜"),
        ("好看吗？", "好看"),
    ],
)
def test_how_good(less: str, more: str) -> None:
    assert grade(less) < grade(more)


def test_a_negation_ends_with_its_clause() -> None:
    assert grade("no, it is good") > 0
    assert grade("not the best, good though") > grade("not the best")
    assert grade("I never had a problem, great shop") > 0.2


def test_elongated_words_and_forms_of_words_are_known() -> None:
    assert grade("loooove") > 0
    assert [grade(form) > 0 for form in ("loved", "loving", "loves", "enjoyed", "prettier", "happily")] == [True] * 6
    assert grade("disappointments") < 0


def test_the_words_that_decided_are_named_heaviest_first() -> None:
    found = understand("The acting is great but the plot is boring")
    assert [word for word, _ in found.words] == ["boring", "great"]
    assert found.words[0][1] < 0 < found.words[1][1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The acting is great but the plot is boring", {"acting": 1, "plot": -1}),
        ("Terrible service, delicious food", {"service": -1, "taste": 1}),
        ("delivery was slow", {"delivery": -1}),
        ("overpriced", {"price": -1}),
        ("The music is not bad", {"music": 1}),
        ("剧情不错，但是演技太差", {"plot": 1, "acting": -1}),
        ("物流很快，包装很差", {"delivery": 1, "packaging": -1}),
        ("太贵了", {"price": -1}),
        ("服务态度差", {"service": -1}),
        ("I bought it for the plot. It is great", {}),
    ],
)
def test_aspects(text: str, expected: dict[str, int]) -> None:
    found = views(text)
    assert {name: 1 if value > 0 else -1 for name, value in found.items()} == expected


@given(st.text(max_size=300) | st.text("good bad不好看!?,.但 notveryTOO😀:)", max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_bounded_opinion_and_always_the_same(text: str) -> None:
    found = understand(text)
    assert isinstance(found, Opinion)
    assert -1.0 <= found.sentiment <= 1.0
    assert all(-1.0 <= view.sentiment <= 1.0 for view in found.views)
    assert (found.sentiment == 0.0) or found.words
    assert understand(text) == found


def test_only_the_beginning_of_a_text_is_read() -> None:
    long = "good " * 400
    assert len(long) == CHARS
    assert understand(long + "terrible " * 400) == understand(long)


def test_longest_chinese_words_win() -> None:
    assert [word for _, word in words_of("性价比很高！")][:1] == ["性价比很高"]
    assert [word for _, word in words_of("没什么问题")] == ["没什么问题"]


def test_the_lexicons_hold_together() -> None:
    here = Path(words.__file__).parent
    for name in ("english", "chinese"):
        data = tomllib.loads((here / f"{name}.toml").read_text(encoding="utf-8"))
        for value, some in data["worth"].items():
            assert -4 <= float(value) <= 4
            assert some.split()
        learnt = json.loads((here / "learnt.json").read_text(encoding="utf-8"))[name]
        assert all(-4 <= worth <= 4 for worth in learnt["worth"].values())
        written = {word: float(value) for value, some in data["worth"].items() for word in some.split()}
        turned = [word for word, worth in learnt["worth"].items() if written.get(word, worth) * worth < 0]
        assert turned == [], "what was learnt may weigh a written word, never turn it"
    told = aspects()
    assert len(told.names) == len(told.chinese) == len(set(told.names))
    assert max(told.of.values()) == len(told.names) - 1
    assert words.version().startswith(f"{words.VERSION}:")
