"""What a service goes by, told from its running configuration: main parameters and their weight, data used and not,
who else has a say, how long things are kept, and how each of these is changed.

Every sentence is made from settings, the serving model and the state as they are; English and Chinese say the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

from palate.arms import Arms
from palate.catalogue import Catalogue
from palate.config import Settings
from palate.explaining.groups import NAMES, OUTSIDE, group_of
from palate.explaining.importance import ModelExplanation
from palate.explaining.statements import Data, Statement, data_of
from palate.features import FEATURES
from palate.features.company import FOLLOWS, LIKES, PRIVATE
from palate.features.off import off
from palate.feedback.grades import sent
from palate.line import Line, Model
from palate.state import State
from palate.types import ModelInfo
from palate.wishes import FIELD as WISHES

_LOOKED_AT = 10_000
"""People whose fields are looked at for their names."""


class Parameter(msgspec.Struct):
    """A group of features that order items. share: its part of what moves scores (of ``ModelExplanation.groups``);
    used: whether any feature of it counts; features: those that do; setting: what switches it off."""

    group: str
    name: str
    chinese: str
    share: float
    used: bool
    features: list[str]
    setting: str


class ServingModel(msgspec.Struct):
    """version: ``prior`` until one is trained; created: when, Unix ms, 0 for the prior; events: seen in training."""

    version: str
    kind: str
    created: int
    events: int
    encoder: str


class Transparency(msgspec.Struct):
    """Main parameters, what is used and isn't, and how to change it. basis: what the shares of ``parameters`` come
    from: ``live`` decisions, ``replay``, or ``none``: of the model alone."""

    model: ServingModel
    basis: str
    parameters: list[Parameter]
    data: list[Statement]
    influences: list[Statement]
    retention: list[Statement]
    choices: list[Statement]


@dataclass(slots=True)
class Lived:
    """What state and model add to the settings. types: of interactions in the log; fields: names of what people say of
    themselves; people, items, interactions, texts, impressions: counts; rights: what the engine does for a person
    (``correct``, ``export``, ``forget``)."""

    types: list[str]
    fields: list[str] = field(default_factory=list[str])
    follows: bool = False
    wishes: bool = False
    people: int = 0
    items: int = 0
    interactions: int = 0
    texts: int = 0
    impressions: int = 0
    carried: bool = False
    encoder: str = ""
    rights: frozenset[str] = frozenset()


def lived_of(state: State, catalogue: Catalogue, line: Line, model: Model, rights: frozenset[str]) -> Lived:
    """Under the engine's lock. O(people), at most ``_LOOKED_AT`` of them."""
    names: dict[str, None] = {one.name: None for one in model.lifts.fields}
    for at, fields in enumerate(state.user_fields.values()):
        if at >= _LOOKED_AT:
            break
        names |= dict.fromkeys(fields)
    return Lived(
        list(dict.fromkeys(sent(name) for name in state.types.ids)),
        sorted(name for name in names if name not in (*PRIVATE, "profiling")),
        FOLLOWS in names,
        bool({LIKES, WISHES} & names.keys()),
        len(state.users),
        int(state.alive.sum()),
        int(state.totals[0]),
        state.said_of.texts,
        state.impressions,
        line.computer.company.map is not None,
        catalogue.cache.encoder.name,
        rights,
    )


def describe(
    settings: Settings, model: Model, models: Iterable[ModelInfo], arms: Arms, found: ModelExplanation, lived: Lived
) -> Transparency:
    """The whole of it. found: importance for ``model``. Needs no lock."""
    hidden = off(settings.features.off).names
    info = next((one for one in models if one.version == model.version), None)
    return Transparency(
        ServingModel(
            model.version,
            model.scorer.kind if info is None else info.kind,
            0 if info is None else info.created,
            0 if info is None else info.events,
            lived.encoder,
        ),
        found.source,
        _parameters(found, hidden),
        data_of(settings, hidden, _data(lived, model)),
        _influences(settings, arms),
        _retention(settings),
        _choices(settings, hidden, lived.rights),
    )


def _data(lived: Lived, model: Model) -> Data:
    return Data(
        lived.types, lived.fields, lived.follows, lived.wishes, list(model.context), lived.texts, lived.impressions,
        lived.carried, lived.encoder, model.people is not None, [one.column for one in model.towers],
    )  # fmt: skip


def _parameters(found: ModelExplanation, hidden: frozenset[str]) -> list[Parameter]:
    shares = {one.group: one.share for one in found.groups}
    features: dict[str, list[str]] = {code: [] for code in NAMES if code not in OUTSIDE}
    for name in [one.name for one in FEATURES] + [one.feature for one in found.features]:
        if name not in features[group_of(name)]:
            features[group_of(name)].append(name)
    out: list[Parameter] = []
    for code, mine in features.items():
        if not mine:  # what is learnt online has no features of its own
            continue
        used = [name for name in mine if name not in hidden]
        named = ", ".join(f'"{name}"' for name in mine if not name.startswith("context."))
        share = shares.get(code, 0.0) if used else 0.0
        out.append(Parameter(code, *NAMES[code], round(share, 4), bool(used), used, f"features.off = [{named}]"))
    return sorted(out, key=lambda one: (-one.share, not one.used))


def _influences(settings: Settings, arms: Arms) -> list[Statement]:
    """Chance, rules, experiments and a language model: what has a say beside the score."""
    policy, out = settings.policy, list[Statement]()
    chance = {
        "greedy": ("by score alone", "只按得分"),
        "plackett_luce": (
            f"drawn by chance, the likelier the higher the score (temperature {policy.temperature:g})",
            f"随机抽取，得分越高越可能靠前（温度 {policy.temperature:g}）",
        ),
        "epsilon_greedy": (
            f"by score, but at {policy.epsilon:.0%} of the places drawn by chance",
            f"按得分，但 {policy.epsilon:.0%} 的位置随机抽取",
        ),
        "linucb": (
            "by what people are expected to choose, learnt from what they chose and passed over, and more so where "
            f"that is uncertain ({policy.alpha:g} standard deviations)",
            f"按预计人们会选什么：由人们选择与略过的内容学得，越不确定的越靠前（{policy.alpha:g} 个标准差）",
        ),
        "thompson": (
            "by chance, as likely as each is the best by what was learnt from what people chose and passed over "
            f"({policy.samples} draws, {policy.alpha:g} standard deviations)",
            f"随机抽取，机会等于依所学它是最佳的可能：由人们选择与略过的内容学得（{policy.samples} 次抽样，"
            f"{policy.alpha:g} 个标准差）",
        ),
    }
    for name, kind, words in (
        ("recommend", policy.recommend, ("Recommendations are ordered", "推荐的顺序")),
        ("rank", policy.rank, ("Given candidates are ordered", "给定候选的顺序")),
    ):
        en, zh = chance[kind]
        out.append(
            Statement(f"policy.{name}", kind != "greedy", f"{words[0]} {en}.", f"{words[1]}：{zh}。", f"policy.{name}")
        )
    out.append(
        _either(
            "exploration", policy.explore, "policy.explore",
            ("One place of a recommendation shows something to learn from, and says so.", "Nothing is shown to learn."),
            ("推荐中有一个位置用于探索，并会标明。", "没有用于探索的位置。"),
        )
    )  # fmt: skip
    if policy.learns:
        days = f"{policy.forget_days:g}"
        kept = f"; what was learnt counts half after {days} days" if policy.forget_days else ""
        kept_zh = f"；所学每 {days} 天减半" if policy.forget_days else ""
        out.append(
            Statement(
                "answers", True, f"What people do with a list within {policy.answer_minutes:g} minutes, and what they "
                f"pass over, teaches the order for everybody at once{kept}.",
                f"人们在 {policy.answer_minutes:g} 分钟内对列表做了什么、略过了什么，会立刻影响所有人的顺序{kept_zh}。",
                "policy.learn, policy.rank, policy.recommend",
            )
        )  # fmt: skip
    if policy.bounded:
        day = f", {policy.explore_day:,} a day" if policy.explore_day else ""
        day_zh = f"，每天 {policy.explore_day:,} 个" if policy.explore_day else ""
        out.append(
            Statement(
                "exploration_budget", True, f"Places to learn from are at most {policy.explore_share:.1%} of those "
                f"shown{day}.", f"用于探索的位置最多占展示位置的 {policy.explore_share:.1%}{day_zh}。",
                "policy.explore_share, policy.explore_day",
            )
        )  # fmt: skip
    if policy.new_floor:
        out.append(
            Statement(
                "newcomers", True, f"A new item is to be shown {policy.new_floor:,} times within {policy.new_days:g} "
                "days, as far as these places go.",
                f"新物品在 {policy.new_days:g} 天内应被展示 {policy.new_floor:,} 次，以上述位置为限。",
                "policy.new_floor, policy.new_days",
            )
        )  # fmt: skip
    out.append(
        _either(
            "diversity", policy.diversity > 0, "policy.diversity",
            (f"What is like the items above it comes later (weight {policy.diversity:g}).", "Likeness of items to each "
             "other doesn't count."),
            (f"与上方内容相似的会靠后（权重 {policy.diversity:g}）。", "不考虑内容之间的相似。"),
        )
    )  # fmt: skip
    running = [one for one in arms.experiments.list() if one.running]
    told = "; ".join(f"{one.name} ({len(one.arms)} arms, {one.share:.0%} of people)" for one in running)
    told_zh = "；".join(f"{one.name}（{len(one.arms)} 组，{one.share:.0%} 的人）" for one in running)
    out.append(
        _either(
            "experiments", bool(running), "palate experiment stop",
            (f"Experiments are running: {told}.", "No experiment is running."),
            (f"正在进行的实验：{told_zh}。", "没有正在进行的实验。"),
        )
    )  # fmt: skip
    return out + _language(settings)


def _language(settings: Settings) -> list[Statement]:
    generator, rerank = settings.language.generator, settings.language.rerank
    on = generator.kind != "none"
    away = generator.kind == "openai"
    host = urlsplit(generator.base_url).hostname or ""
    where = (f"at {host}", f"位于 {host}") if away else ("in this process", "在本进程中运行")
    out = [
        _either(
            "generator", on, "language.generator.kind",
            (f"A language model ({generator.model}, {where[0]}) helps to understand what people say in a conversation, "
             "and may word reasons, which are held against what is true and marked.", "No language model is used."),
            (f"语言模型（{generator.model}，{where[1]}）帮助理解对话，也可以表述理由；表述须与事实相符，并会标明。",
             "不使用语言模型。"),
        )
    ]  # fmt: skip
    out.append(
        _either(
            "rerank", rerank.enabled, "language.rerank.enabled",
            (f"It may move the first {rerank.top} items by at most {rerank.shift} places, for people with at most "
             f"{rerank.events} events. It is told up to {rerank.history} titles of what they had, and no name or id of "
             "theirs.", "No language model has a say in the order."),
            (f"它可以把前 {rerank.top} 项移动至多 {rerank.shift} 位，只针对至多有 {rerank.events} 个事件的人；它得知 "
             f"其至多 {rerank.history} 个有过的标题，但不会得知其姓名或编号。", "语言模型不影响顺序。"),
        )
    )  # fmt: skip
    return out


def _retention(settings: Settings) -> list[Statement]:
    kept, state = settings.decisions, settings.state
    days = f"{kept.max_days:g}"
    limit = settings.retention.days
    en = f"for {limit:g} days" if limit else "until they are erased"
    zh = f"保留 {limit:g} 天" if limit else "会保留到被删除为止"
    return [
        Statement(
            "events", True,
            f"Events are kept {en}; of each person the newest {state.history} count in full, and up "
            f"to {state.seen_per_user} items as had before.",
            f"事件{zh}；每个人最近的 {state.history} 个事件完整计入，"
            f"至多 {state.seen_per_user} 个物品记为有过。",
            "retention.days, state.history",
        ),
        _either(
            "redaction", settings.privacy.redact, "privacy.redact",
            ("Personal data in what people write is masked before it is kept, as far as rules know it.",
             "What people write is kept as they wrote it."),
            ("人们所写的文字在保存前，会按规则遮盖其中的个人信息。", "人们所写的文字按原样保存。"),
        ),
        _either(
            "decisions", kept.enabled, "decisions.enabled, decisions.max_days",
            (f"Rankings are logged for {days} days, to explain them and to learn.", "Rankings are not logged: they can "
             "neither be explained later nor learnt from."),
            (f"排序结果保留 {days} 天，用于解释和学习。", "不记录排序结果：事后无法解释，也不用于学习。"),
        ),
        *_training(settings),
    ]  # fmt: skip


def _training(settings: Settings) -> list[Statement]:
    """When models are trained, and what is learnt in between."""
    after, hours = settings.train.auto_events, settings.online.retrain_hours
    when = f"after every {after:,} interactions" if after else f"every {hours:g} hours"
    when_zh = f"每 {after:,} 次互动后" if after else f"每 {hours:g} 小时"
    return [
        _either(
            "training", after > 0 or hours > 0, "train.auto_events, online.retrain_hours",
            (f"A new model is trained {when}.", "A new model is only trained when somebody asks for it."),
            (f"{when_zh}训练新模型。", "只有在有人要求时才训练新模型。"),
        ),
        _either(
            "online", settings.online.correct != "off", "online.correct",
            ("Between trainings what people take up and leave of rankings corrects everybody's scores, by a bounded "
             "amount, while that predicts better.", "Between trainings the model stays as it is."),
            ("两次训练之间，人们对排序结果的取舍会在预测更准时有限度地修正所有人的得分。",
             "两次训练之间模型保持不变。"),
        ),
    ]  # fmt: skip


def _choices(settings: Settings, hidden: frozenset[str], rights: frozenset[str]) -> list[Statement]:
    """What a person can do about it."""
    less = sorted(name for name, weight in settings.all_weights().items() if weight < 0)
    asked = not {"asked_tags", "asked_taste"} <= hidden
    out = [
        Statement(
            "profile", True, "What is believed of somebody can be read: GET /v1/users/{id}.",
            "可以查看对某人的了解：GET /v1/users/{id}。", "",
        ),
        Statement(
            "why", settings.decisions.enabled, "Why an item stands where it stands, and what would move it: GET "
            "/v1/explain/{ranking}/{item}?counterfactuals=true." if settings.decisions.enabled else
            "Rankings can't be explained later, since they aren't logged; contributions come with `explain`.",
            "某项为何在此位置、什么会改变它：GET /v1/explain/{ranking}/{item}?counterfactuals=true。"
            if settings.decisions.enabled else "排序未被记录，事后无法解释；请求时可用 explain 得到各项贡献。",
            "decisions.enabled",
        ),
        Statement(
            "erase", True, *(
                ("Somebody is erased from log, state and rankings: DELETE /v1/users/{id}.",
                 "可以从日志、状态和排序记录中删除某人：DELETE /v1/users/{id}。") if "forget" in rights else
                ("What somebody did is forgotten with a user event that has deleted = true.",
                 "发送 deleted = true 的用户事件即可忘记某人的行为。")
            ),
        ),
    ]  # fmt: skip
    if "export" in rights:
        out.append(
            Statement(
                "export", True, "Everything kept of somebody can be had: GET /v1/users/{id}/export.",
                "可以取得所保存的关于某人的全部内容：GET /v1/users/{id}/export。",
            )
        )  # fmt: skip
    if "correct" in rights:
        out.append(
            Statement(
                "opt_out", True, "Somebody can mute and pin tags or words, and be ranked for without a profile: PATCH "
                "/v1/users/{id}, profiling = false.",
                "可以屏蔽或固定标签与词语，也可以不用画像排序：PATCH /v1/users/{id}，profiling = false。",
            )
        )  # fmt: skip
    if less:
        out.append(
            Statement(
                "less", True, f"Less of something is asked for by: {', '.join(less)}.",
                f"想少看某类内容，可以：{'、'.join(less)}。", "weights",
            )
        )  # fmt: skip
    if asked:
        out.append(
            Statement(
                "ask", True, "Wishes can be said and taken back in a conversation (POST /v1/chat), or as the field "
                "`likes` of a user.", "可以在对话（POST /v1/chat）中说出并收回愿望，或写在用户的 likes 字段里。", "",
            )
        )  # fmt: skip
    return out


def _either(code: str, holds: bool, setting: str, english: tuple[str, str], chinese: tuple[str, str]) -> Statement:
    at = 0 if holds else 1
    return Statement(code, holds, english[at], chinese[at], setting)
