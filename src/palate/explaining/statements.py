"""Which data a service uses, in sentences made from its settings, its model and its state."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from palate.config import Settings
from palate.features import FEATURES

_SAMPLES = 12
"""Names listed at the most."""


class Statement(msgspec.Struct):
    """A sentence in English and Chinese. used: whether what it is about is in use; setting: what changes it, or ''."""

    code: str
    used: bool
    text: str
    chinese: str
    setting: str = ""


@dataclass(slots=True)
class Data:
    """types: of interactions in the log; fields: what people say of themselves, by name; follows, wishes: whether
    anybody has such; context: fields that the model learnt; texts: that people wrote; carried: a map of another
    catalogue; predicted: whether the model predicts attributes; towers: columns."""

    types: list[str]
    fields: list[str]
    follows: bool
    wishes: bool
    context: list[str]
    texts: int
    impressions: int
    carried: bool
    encoder: str
    predicted: bool
    towers: list[str]


def data_of(settings: Settings, hidden: frozenset[str], data: Data) -> list[Statement]:
    """What is used first, what isn't after it. hidden: features that are off."""
    language = settings.language
    weights = "; ".join(f"{name} {settings.weight(name):+g}" for name in data.types[:_SAMPLES])
    out = [
        Statement(
            "interactions", True,
            f"What people do with items, and when. Weights by type: {weights or 'none in the log yet'}.",
            f"人们对物品的行为及其时间。各类型的权重：{weights or '日志中尚无'}。", "weights",
        )
    ]  # fmt: skip

    def add(code: str, used: bool, setting: str, english: tuple[str, str], chinese: tuple[str, str]) -> None:
        at = 0 if used else 1
        out.append(Statement(code, used, english[at], chinese[at], setting))

    add(
        "others", not _all_off(hidden, "popularity", "item_to_item", "towers", "people"),
        'features.off = ["popularity", "item_to_item", "towers", "people"]',
        ("What other people do counts as numbers: how popular items are, what is had together.",
         "What other people do doesn't count."),
        ("其他人的行为以数字计入：物品的热度、哪些常在一起。", "不考虑其他人的行为。"),
    )  # fmt: skip
    host = urlsplit(language.endpoint).hostname or ""
    away = data.encoder.startswith("openai:")
    where = (f"at {host}" if host else "at OpenAI", f"由 {host or 'OpenAI'} 处理") if away else ("here", "在本机处理")
    meant = not (_all_off(hidden, "content") and "query_meaning" in hidden)
    add(
        "item_texts", meant, 'language.encoder, features.off = ["content", "query"]',
        (f"Texts of items, as vectors of the encoder {data.encoder}, made {where[0]}.", "Texts of items don't count."),
        (f"物品的文本，由编码器 {data.encoder} 转为向量（{where[1]}）。", "不使用物品的文本。"),
    )  # fmt: skip
    add(
        "tags", not _all_off(hidden, "tags"), 'features.off = ["tags"]', ("Tags of items.", "Tags of items don't "
        "count."), ("物品的标签。", "不使用物品的标签。"),
    )  # fmt: skip
    add(
        "queries", not _all_off(hidden, "query"), 'features.off = ["query"]',
        ("The words of a search, for that search.", "The words of a search order nothing."),
        ("搜索词，仅用于该次搜索。", "搜索词不影响顺序。"),
    )  # fmt: skip
    add(
        "opinions", language.feedback, "language.feedback",
        (f"What people write in reviews and comments, read by rules on this machine: {data.texts:,} texts so far.",
         "What people write in reviews and comments isn't read."),
        (f"人们写的评价与评论，在本机按规则读取：目前 {data.texts:,} 条。", "不读取人们写的评价与评论。"),
    )  # fmt: skip
    told = ", ".join(data.fields[:_SAMPLES])
    allowed = not _off(hidden, "alike_tags", "alike_taste", "pop_segment")
    add(
        "fields", allowed and bool(data.fields), 'features.off = ["alike_tags", "alike_taste", "pop_segment"]',
        (f"What people say of themselves ({told}): what people of the same groups choose, from ten people on.",
         "What people say of themselves doesn't count." if not allowed else "Nobody has said anything of themselves."),
        (f"人们对自己的说明（{told}）：同类人群（至少十人）的选择。",
         "不考虑人们对自己的说明。" if not allowed else "还没有人说明过自己的情况。"),
    )  # fmt: skip
    allowed = not _off(hidden, "friends_had", "friends_share", "friends_new")
    add(
        "follows", allowed and data.follows, 'features.off = ["friends_had", "friends_share", "friends_new"]',
        ("What people whom somebody follows had.", "What people whom somebody follows had doesn't count." if not allowed
         else "Nobody follows anybody."),
        ("某人所关注的人有过什么。", "不考虑所关注的人有过什么。" if not allowed else "还没有人关注他人。"),
    )  # fmt: skip
    allowed = not _off(hidden, "asked_tags", "asked_taste")
    add(
        "wishes", allowed and data.wishes, 'features.off = ["asked_tags", "asked_taste"]',
        ("What people asked for.", "What people asked for doesn't count." if not allowed else "Nobody has asked for "
         "anything."),
        ("人们主动的要求。", "不考虑人们主动的要求。" if not allowed else "还没有人提出过要求。"),
    )  # fmt: skip
    add(
        "time", not _off(hidden, "hour", "weekday", "daypart"), 'features.off = ["context", "daypart"]',
        ("The hour and the day of the week of a request.", "The hour and the day of a request don't count."),
        ("请求的时刻与星期。", "不考虑请求的时刻与星期。"),
    )  # fmt: skip
    named = ", ".join(name.removeprefix("context.") for name in data.context[:_SAMPLES])
    add(
        "context", bool(data.context), "", (f"Fields of a request's context: {named}.",
        "Fields of a request's context don't count: the model learnt none."),
        (f"请求情境的字段：{named}。", "不使用请求情境的字段：模型没有学到。"),
    )  # fmt: skip
    allowed = "click_rate" not in hidden
    add(
        "impressions", allowed and data.impressions > 0, 'features.off = ["click_rate"]',
        ("How often items were shown.", "How often items were shown doesn't count." if not allowed else "Nobody has "
         "told what was shown."),
        ("物品被展示的次数。", "不考虑物品被展示的次数。" if not allowed else "尚无展示记录。"),
    )  # fmt: skip
    add(
        "carried", data.carried and "carried" not in hidden, 'features.off = ["carried"]',
        ("Which texts go together in another catalogue (a map without ids or texts).", "Nothing of another catalogue."),
        ("另一份目录中哪些文本常在一起（映射里没有编号和文本）。", "不使用其他目录的信息。"),
    )  # fmt: skip
    predicted = data.predicted and settings.train.people != "off"
    out.append(
        Statement(
            "predicted", False,
            "What people didn't say is predicted for their profile, and orders nothing." if predicted
            else "Nothing is predicted of what people didn't say.",
            "人们未说明的情况会在画像中给出预测，但不影响顺序。" if predicted else "不预测人们未说明的情况。",
            "train.people",
        )
    )  # fmt: skip
    return sorted(out, key=lambda one: not one.used)


def _off(hidden: frozenset[str], *features: str) -> bool:
    return hidden.issuperset(features)


def _all_off(hidden: frozenset[str], *groups: str) -> bool:
    return hidden.issuperset(one.name for one in FEATURES if one.group in groups)
