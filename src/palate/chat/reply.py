"""What is said back, in English or Chinese: only what the parse, the wishes and the ranking hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from palate.chat.schema import role_of
from palate.reasons import SHORT, short
from palate.types import Reason
from palate.wishes import Wish

Title = Callable[[str], str]

_ROLES = {
    "duration": ("duration", "时长"), "year": ("year", "年份"), "price": ("price", "价格"),
    "budget": ("budget", "预算"),
    "rating": ("rating", "评分"), "pages": ("pages", "页数"), "weight": ("weight", "重量"), "size": ("size", "尺寸"),
    "language": ("language", "语言"), "country": ("country", "国家"), "color": ("colour", "颜色"),
    "brand": ("brand", "品牌"), "director": ("director", "导演"), "actor": ("cast", "演员"),
    "author": ("author", "作者"), "artist": ("artist", "艺人"), "genre": ("kind", "类型"), "tag": ("tag", "标签"),
    "material": ("material", "材质"), "maker": ("maker", "创作者"),
}  # fmt: skip
_SIDES = {
    "lt": ("under {0}", "低于 {0}"), "lte": ("at most {0}", "不超过 {0}"), "gt": ("over {0}", "高于 {0}"),
    "gte": ("at least {0}", "不低于 {0}"), "eq": ("{0}", "为 {0}"), "ne": ("not {0}", "不是 {0}"),
    "in": ("only {0}", "只要 {0}"), "nin": ("no {0}", "不要 {0}"),
}  # fmt: skip
_UNITS = {"duration": (" minutes", " 分钟")}
_TEXT = {
    "understood": ("Understood: {0}.", "明白：{0}。"),
    "removed": ("Taken back: {0}.", "已取消：{0}。"),
    "back": ("In force again: {0}.", "重新生效：{0}。"),
    "reset": ("Everything you asked for is forgotten.", "之前的要求已全部清除。"),
    "idle": ("There is nothing to take back.", "没有可以取消的要求。"),
    "helped": ("Read with the help of a language model.", "（借助语言模型理解。）"),
    "missing": ("Nothing here says {0}, so I can't go by that.", "这里的数据没有{0}，无法按此筛选。"),
    "absent": ("Nothing here is {0}.", "这里没有{0}。"),
    "unknown": ("I didn't understand {0}.", "没有听懂{0}。"),
    "unclear": (
        "I didn't understand that. Try: less of this, more like that, under a number, or “forget that”.",
        "没有听懂。可以说：少一点某类、多来点像某个的、某个数以内，或者“撤销”。",
    ),
    "hello": ("Hello! Tell me what you feel like.", "你好！说说你想要什么。"),
    "thanks": ("You're welcome.", "不客气。"),
    "who": (
        "I am Palate's conversation: I turn your words into filters and preferences for the ranking.",
        "我是 Palate 的对话：把你的话变成排序的筛选和偏好。",
    ),
    "bye": ("Goodbye.", "再见。"),
    "help": (
        "Say what you want, what you don't, limits, “like X”, or take something back: all counts in the next ranking.",
        "可以说想要什么、不要什么、范围、“像某个那样”，也可以撤销：每句话都影响下一次排序。",
    ),
    "show": ("In force: {0}.", "现在的要求：{0}。"),
    "nothing": ("Nothing is asked for yet.", "还没有任何要求。"),
    "choose_title": ("Which one do you mean: {0}?", "你指的是哪一个：{0}？"),
    "choose_value": ("Do you mean {0}?", "你是指{0}吗？"),
    "empty": ("Nothing fits all of it.", "没有符合全部要求的。"),
    "without": ("Without “{0}” {1} would.", "去掉“{0}”后有 {1} 个。"),
    "without_some": ("Without “{0}” at least {1} would.", "去掉“{0}”后至少有 {1} 个。"),
    "list": ("Now: {0}", "现在："),
    "like": ("more like {0}", "更像《{0}》"), "unlike": ("less like {0}", "少些像《{0}》"),
    "more": ("more {0}", "多些 {0}"), "less": ("less {0}", "少些 {0}"),
    "liked": ("liked: {0}", "喜欢：{0}"), "hide": ("hidden: {0}", "不再显示：{0}"), "view": ("seen: {0}", "看过：{0}"),
    "fact": ("{0}: {1} {2}.", "《{0}》：{1} {2}。"),
    "no_fact": ("Nothing here says that of {0}.", "这里没有《{0}》的这项信息。"),
    "not": ("not {0}", "排除{0}"),
}  # fmt: skip


class Voice:
    """Words in one language. title: of an item id."""

    def __init__(self, language: str, title: Title) -> None:
        self.at = 1 if language == "zh" else 0
        self.title = title

    def say(self, key: str, *values: object) -> str:
        """The sentence ``key``."""
        return _TEXT[key][self.at].format(*values)

    def role(self, name: str) -> str:
        """A role in words."""
        return _ROLES.get(name, (name, name))[self.at]

    def field(self, name: str) -> str:
        """A field in words: its role's in Chinese, its own name in English."""
        role = role_of(name)
        return self.role(role) if self.at and role in _ROLES else name.replace("_", " ")

    def joined(self, texts: Sequence[str]) -> str:
        """A list in words."""
        return ("、" if self.at else ", ").join(texts)

    def several(self, texts: Sequence[str]) -> str:
        """Clauses, one after the other."""
        return ("；" if self.at else "; ").join(texts)

    def wish(self, wish: Wish) -> str:
        """A wish in words."""
        if wish.filter is not None:
            return self.several([self._condition(name, how) for name, how in wish.filter.items()])
        if wish.like or wish.unlike:
            return self.say("like" if wish.like else "unlike", self.title(wish.like or wish.unlike))
        return self.say("more" if wish.more else "less", (wish.more or wish.less).split(":", 1)[-1])

    def _condition(self, name: str, how: Any) -> str:
        if name == "not" and isinstance(how, dict):
            inner = [self._condition(field, one) for field, one in how.items()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            return self.say("not", self.several(inner))
        if not isinstance(how, dict):
            return name
        role = role_of(name)
        texts: list[str] = []
        for operator, value in how.items():  # pyright: ignore[reportUnknownVariableType]
            many = [str(one) for one in value] if isinstance(value, list) else [f"{value}"]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            unit = _UNITS.get(role, ("", ""))[self.at] if not isinstance(value, list) and _plain(name) else ""
            side = _SIDES.get(str(operator), ("{0}", "{0}"))[self.at]  # pyright: ignore[reportUnknownArgumentType]
            texts.append(side.format(self.joined(many) + unit))
        both = self.joined(texts)
        listed = any(operator in ("in", "nin") for operator in how)  # pyright: ignore[reportUnknownVariableType]
        return both if listed and role in ("genre", "tag", "") and not self.at else f"{self.field(name)} {both}"

    def reason(self, reason: Reason) -> str:
        """A reason of the ranking."""
        if not self.at:
            return reason.text
        items = self.joined([self.title(item) for item in reason.items])
        tags = self.joined([tag.split(":", 1)[-1] for tag in reason.tags])
        return SHORT[short(reason)][1].format(items=items, tags=tags) if reason.code in SHORT else reason.text


def _plain(name: str) -> bool:
    """Whether a duration is in minutes."""
    return not any(word in name.lower() for word in ("hour", "sec"))
