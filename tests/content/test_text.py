"""Texts, tags, titles and words of items."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.content.text import MAX_TAG_CHARS, MAX_TAGS, item_tags, item_text, title, tokens
from palate.types import FieldValue

FIELD_NAMES = st.sampled_from(
    ["title", "name", "genres", "brand", "description", "image_url", "item_id", "price", "Tags"]
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=80),
    st.lists(st.text(max_size=30), max_size=5),
)
FIELDS = st.dictionaries(st.one_of(FIELD_NAMES, st.text(min_size=1, max_size=12)), VALUES, max_size=6)

MOVIE: dict[str, FieldValue] = {
    "year": 1995,
    "title": "Toy Story",
    "overview": "A cowboy doll is profoundly threatened when a new spaceman figure supplants him as the favourite toy.",
    "genres": "Adventure|Animation|Children",
    "imdb_id": "tt0114709",
    "posterUrl": "https://example.org/toy.jpg",
    "homepage": "http://toystory.disney.com/toy-story",
    "release_date": "1995-10-30",
    "director": "John Lasseter",
    "adult": False,
}


def test_item_text_has_the_title_first_then_short_fields_then_long_ones() -> None:
    assert item_text(MOVIE) == (
        "Toy Story. John Lasseter. Adventure, Animation, Children. "
        "A cowboy doll is profoundly threatened when a new spaceman figure supplants him as the favourite toy."
    )


def test_item_text_of_a_long_description_keeps_the_categories() -> None:
    text = item_text({"description": "word " * 1000, "category": "Toys", "name": "Robot"}, max_chars=100)
    assert text.startswith("Robot. Toys. word word")
    assert len(text) <= 100


def test_item_text_of_named_fields_is_those_in_order_with_numbers() -> None:
    assert item_text(MOVIE, ["year", "director", "absent", "title", "adult"]) == "1995. John Lasseter. Toy Story. false"


def test_item_text_says_nothing_twice() -> None:
    assert item_text({"department": "GROCERY", "category": "grocery", "type": "Tea"}) == "grocery. Tea"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, ""),
        ({"title": "  1984 \n"}, "1984"),
        ({"price": 3.5, "stock": 4, "sale": True}, ""),
        ({"ean": "4006381333931", "code": "12345"}, ""),
        ({"sku": "AB-12", "user-id": "u1", "itemID": "i1", "idea": "lamp"}, "lamp"),
        ({"thumbnail": "x.png", "video_url": "v", "link": "l", "www": "www.example.org"}, ""),
        ({"title": "What?", "brand": "Acme"}, "What? Acme"),
        ({"标题": "跑步鞋", "品牌": "安踏"}, "跑步鞋. 安踏"),
        ({"tags": ["", "  ", "red"]}, "red"),
    ],
)
def test_item_text(fields: dict[str, FieldValue], text: str) -> None:
    assert item_text(fields) == text


@given(FIELDS, st.integers(1, 200), st.randoms())
def test_item_text_and_tags_do_not_depend_on_the_order_of_fields(
    fields: dict[str, FieldValue], max_chars: int, shuffle: random.Random
) -> None:
    names = list(fields)
    shuffle.shuffle(names)
    shuffled = {name: fields[name] for name in names}
    text = item_text(fields, max_chars=max_chars)
    assert text == item_text(shuffled, max_chars=max_chars)
    assert len(text) <= max_chars
    assert text == text.strip()
    tags = item_tags(fields)
    assert tags == item_tags(shuffled)
    assert len(tags) == len(set(tags)) <= MAX_TAGS
    assert all(len(tag.split(":", 1)[1]) <= MAX_TAG_CHARS for tag in tags if ":" not in "".join(names))
    assert title(fields) == title(shuffled)


def test_item_tags() -> None:
    assert item_tags(MOVIE) == ["director:John Lasseter", "genre:Adventure", "genre:Animation", "genre:Children"]


@pytest.mark.parametrize(
    ("fields", "tags"),
    [
        ({"genre": "Drama"}, ["genre:Drama"]),
        ({"genres": ["Drama"]}, ["genre:Drama"]),
        ({"brand": "a|b"}, ["brand:a|b"]),
        ({"brand": "x" * 65, "cast": ["y" * 65, "Ann"]}, ["cast:Ann"]),
        ({"title": "T", "description": "D", "text": "T", "plot_summary": "P", "id": "1", "image": "i"}, []),
        ({"year": 1995, "on_sale": True}, []),
        ({"tags": ["a", "a", "b"]}, ["tag:a", "tag:b"]),
    ],
)
def test_item_tags_by_rule(fields: dict[str, FieldValue], tags: list[str]) -> None:
    assert item_tags(fields) == tags


def test_item_tags_lets_fields_take_turns() -> None:
    tags = item_tags({"actors": [f"a{i}" for i in range(20)], "brand": "B", "genres": ["g0", "g1"]})
    assert tags[:5] == ["actor:a0", "brand:B", "genre:g0", "actor:a1", "genre:g1"]
    assert len(tags) == MAX_TAGS


def test_item_tags_of_named_fields_only() -> None:
    assert item_tags(MOVIE, ["year", "genres", "adult"]) == [
        "year:1995",
        "genre:Adventure",
        "adult:false",
        "genre:Animation",
        "genre:Children",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "N", "title": "T"}, "T"),
        ({"Name": " a  b "}, "a b"),
        ({"title": "", "name": "N"}, "N"),
        ({"title": 7, "headline": "H"}, "H"),
        ({"subtitle": "S"}, ""),
        ({}, ""),
    ],
)
def test_title(fields: dict[str, FieldValue], expected: str) -> None:
    assert title(fields) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red RUNNING shoes", ["red", "running", "shoe"]),
        ("Dishes, boxes & glasses", ["dish", "box", "glass"]),
        ("tomatoes potatoes", ["tomato", "potato"]),
        ("news series bus tennis glass", ["news", "series", "bus", "tennis", "glass"]),
        ("Women's shoes don't", ["women", "shoe", "dont"]),
        ("women’s café", ["women", "café"]),
        ("1980s iPhone15 2.5", ["1980s", "iphone15", "2", "5"]),
        ("ＦＵＬＬ ﬁsh", ["full", "fish"]),
        ("跑步鞋", ["跑步", "步鞋", "跑", "步", "鞋"]),
        ("猫", ["猫"]),
        ("iPhone手机壳 red", ["iphone", "手机", "机壳", "手", "机", "壳", "red"]),
        ("カメラ", ["カメ", "メラ"]),
        ("한국", ["한국"]),
        ("हिन्दी फ़िल्म", unicodedata.normalize("NFKC", "हिन्दी फ़िल्म").split()),
        ("Привет, мир", ["привет", "мир"]),
        ("snake_case", ["snake", "case"]),
        ("🎬 … !", []),
        ("", []),
    ],
)
def test_tokens(text: str, words: list[str]) -> None:
    assert tokens(text) == words


@pytest.mark.parametrize("pair", ["movie movies", "berry berries", "shoe shoes", "cookie cookies", "watch watches"])
def test_singular_and_plural_are_one_word(pair: str) -> None:
    one, many = tokens(pair)
    assert one == many


@given(st.text(st.characters(codec=None), max_size=200))
def test_tokens_of_any_unicode(text: str) -> None:
    words = tokens(text)
    assert words == tokens(text)
    assert all(word and not word.isspace() and not any(character.isspace() for character in word) for word in words)
    assert len(words) <= 2 * len(unicodedata.normalize("NFKC", text).lower())


@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_letters_always_give_a_word(text: str) -> None:
    assert tokens(text)


@given(st.lists(st.text("abcdefgs猫狗鱼é", min_size=1, max_size=8), max_size=6))
def test_words_apart_are_tokenised_apart(words: list[str]) -> None:
    assert tokens(" ".join(words)) == [token for word in words for token in tokens(word)]
