"""What the command line says to people, in English and Chinese: one catalogue, ``say(key, …)`` reads it.

The language is ``--lang``, else the environment's (``LC_ALL``, ``LC_MESSAGES``, ``LANG``: Chinese where it starts with
``zh``), else English. What the engine and the data sets say is English and translated by ``palate.cli.translation``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from palate.cli.bench_words import BENCH
from palate.cli.experiment_words import EXPERIMENT
from palate.cli.language_words import LANGUAGE
from palate.cli.online_words import ONLINE
from palate.cli.replay_words import REPLAY
from palate.cli.simulate_words import SIMULATE
from palate.cli.text_words import TEXTS
from palate.cli.why_words import WHY
from palate.reasons import SHORT

Language = Literal["en", "zh"]

MESSAGES: dict[str, tuple[str, str]] = {
    **{f"reason.{code}": words for code, words in SHORT.items()},
    "reason.said_of": ("praised for {tags}", "大家称赞其{tags}"),
    **BENCH,
    **EXPERIMENT,
    **ONLINE,
    **LANGUAGE,
    **REPLAY,
    **SIMULATE,
    **TEXTS,
    **WHY,
    "usage": ("Usage: ", "用法："),
    "failed": ("palate: {error}", "palate 出错：{error}"),
    "interrupted": ("Stopped.", "已停止。"),
    "through_service": ("(answered by the service at {url})", "（由 {url} 处的服务应答）"),
    "importing": ("Importing {name} into {path}", "正在把 {name} 导入 {path}"),
    "imported": (
        "{accepted:,} events accepted ({duplicates:,} duplicates, {rejected:,} rejected) in {seconds:.1f} s: "
        "{rate:,.0f} events/s, peak memory {memory:,.0f} MB",
        "接收 {accepted:,} 个事件（重复 {duplicates:,}，拒绝 {rejected:,}），用时 {seconds:.1f} 秒："
        "每秒 {rate:,.0f} 个，内存峰值 {memory:,.0f} MB",
    ),
    "stage_done": ("{stage}: {done:,}, {seconds:.1f} s", "{stage}：{done:,}，{seconds:.1f} 秒"),
    "colon": (": ", "："),
    "stage.ingesting": ("ingesting", "导入"),
    "stage.choosing": ("choosing", "选择参数"),
    "stage.reading": ("reading {what}", "读取 {what}"),
    "stage.downloading": ("downloading {what}", "下载 {what}"),
    "stage.read": ("reading the data", "读取数据"),
    "stage.import": ("importing", "导入"),
    "stage.load": ("loading the engine", "载入引擎"),
    "stage.encode": ("encoding texts", "编码文本"),
    "stage.replay": ("replaying decisions", "重放决策"),
    "stage.fold": ("folding events into state", "由事件生成状态"),
    "stage.fit": ("fitting", "训练"),
    "stage.train": ("training", "训练"),
    "stage.evaluate": ("evaluating", "评测"),
    "stage.rebuild": ("rebuilding from the log", "由日志重建"),
    "stage.export": ("exporting", "导出"),
    "stage.verify": ("ranking again without the event", "去掉该事件重新排序"),
    "stage.ready": ("ready", "就绪"),
    "trained": (
        "Model {version} ({kind}) trained on {decisions:,} decisions in {seconds:.1f} s; {state}.",
        "模型 {version}（{kind}）训练完成，共 {decisions:,} 个决策，用时 {seconds:.1f} 秒；{state}。",
    ),
    "stage.tune": ("trials", "试验"),
    "tune.done": ("{trials:,} trials in {seconds:.1f} s.", "{trials:,} 次试验，用时 {seconds:.1f} 秒。"),
    "tune.resumed": ("Went on after {resumed:,} trials of an earlier run.", "接着上次的 {resumed:,} 次试验继续。"),
    "tune.before": ("NDCG@10 as it is, half that chooses", "现有设置的 NDCG@10（用于选择的一半）"),
    "tune.after": ("NDCG@10 of the best trial, same half", "最佳试验的 NDCG@10（同一半）"),
    "tune.gain": ("gain on the other half", "在另一半上的增益"),
    "tune.nothing": (
        "Nothing is better than what is there: palate.toml stays as it is.",
        "没有比现有设置更好的：palate.toml 保持不变。",
    ),
    "tune.written": ("Written; palate train uses it.", "已写入；palate train 将使用它。"),
    "tune.unwritten": (
        "Not written: add --write to put it into palate.toml.",
        "尚未写入：加上 --write 即写入 palate.toml。",
    ),
    "training": (
        "The service at {url} trains in the background; palate models list shows the model when it is there.",
        "{url} 处的服务正在后台训练；完成后可用 palate models list 查看。",
    ),
    "active": ("active", "已启用"),
    "inactive": ("not active (palate models activate {version})", "未启用（palate models activate {version}）"),
    "activated": ("Model {version} is active.", "模型 {version} 已启用。"),
    "no_models": (
        "No model has been trained yet: palate train --dir {path}",
        "还没有训练过模型：palate train --dir {path}",
    ),
    "rebuilt": (
        "{events:,} events replayed in {seconds:.1f} s: the state equals the log.",
        "用 {seconds:.1f} 秒重放了 {events:,} 个事件：状态与日志一致。",
    ),
    "rebuilt_differs": (
        "{events:,} events replayed in {seconds:.1f} s: the state in use differed from the log, and the rebuilt one "
        "replaces it.",
        "用 {seconds:.1f} 秒重放了 {events:,} 个事件：原状态与日志不一致，已由重建的状态取代。",
    ),
    "exported": ("{events:,} events written to {file}.", "已把 {events:,} 个事件写入 {file}。"),
    "exported_user": ("{events:,} lines written to {file}.", "已把 {events:,} 行写入 {file}。"),
    "forgotten": (
        "{user} is erased: from the log, the decisions, the snapshots and the state.",
        "{user} 已被彻底删除：日志、决策、快照和状态中都不再有其数据。",
    ),
    "forgetting": (
        "{user} is unknown from now on; the service goes on to erase them from the log.",
        "从现在起 {user} 视为未知用户；服务继续在后台把其数据从日志中删除。",
    ),
    "evaluated": ("Reports: {json} and {html}", "报告：{json} 与 {html}"),
    "title.ranking": ("Ranking {ranking} for {who}", "{who} 的排序 {ranking}"),
    "title.explain": ("Why {item} got {score} in {ranking}", "{item} 在 {ranking} 中得分 {score} 的原因"),
    "title.history": ("What {who} did last", "{who} 最近的行为"),
    "title.before": ("Ranking before", "之前的排序"),
    "title.after": ("Ranking after", "之后的排序"),
    "title.moved": ("What moved, and why", "哪些变动了，为什么"),
    "title.models": ("Models", "模型"),
    "title.report": ("Data report", "数据报告"),
    "title.evaluation": ("Evaluation", "评测"),
    "title.ratings": (
        "Ratings of {data}: {ratings:,} in {folds} folds, each predicted by the other folds",
        "{data} 的评分：{ratings:,} 个，分 {folds} 折，每折由其余各折预测",
    ),
    "col.within": ("within 95 %", "落在 95 % 区间内"),
    "col.seconds": ("seconds a fold", "每折秒数"),
    "title.doctor": ("palate doctor", "palate 体检"),
    "col.position": ("#", "#"),
    "col.item": ("item", "物品"),
    "col.title": ("title", "名称"),
    "col.score": ("score", "得分"),
    "col.reason": ("reason", "理由"),
    "col.type": ("event", "事件"),
    "col.when": ("when", "时间"),
    "col.what": ("what", "指标"),
    "col.value": ("value", "值"),
    "col.move": ("move", "变动"),
    "col.because": ("because of this event", "因为该事件"),
    "col.feature": ("feature", "特征"),
    "col.contribution": ("contribution", "贡献"),
    "col.source": ("comes from", "来自"),
    "col.version": ("version", "版本"),
    "col.kind": ("kind", "类型"),
    "col.created": ("made", "生成时间"),
    "col.metrics": ("validation", "验证指标"),
    "col.margin": ("the winner over it", "胜出者领先"),
    "col.over_single": ("over the best single feature", "领先最佳单一特征"),
    "single": ("Best single feature: {feature}", "最佳单一特征：{feature}"),
    "col.name": ("", ""),
    "col.check": ("check", "检查"),
    "col.detail": ("found", "结果"),
    "col.mend": ("how to mend it", "如何修复"),
    "col.system": ("system", "系统"),
    "base": ("base", "基准"),
    "stages": ("model {model}, log position {as_of}, {ms:.1f} ms", "模型 {model}，日志位置 {as_of}，{ms:.1f} 毫秒"),
    "degraded": ("Degraded: {what}", "降级：{what}"),
    "chat.start": (
        "Say what you want: less of this, more like that, a limit, “forget that”. Ctrl-D ends.",
        "说说你想要什么：少一点某类、像某个那样的、某个范围、“撤销”。按 Ctrl-D 结束。",
    ),
    "carried": (
        "The map is in {path}: it orders pairs of held-out items with ρ = {rho:.3f} (texts alone: {text:.3f}). "
        "A service takes it in when it starts; train again to weigh it.",
        "映射已写入 {path}：对留出物品对排序的 ρ = {rho:.3f}（仅文本：{text:.3f}）。"
        "服务在启动时读取；重新训练后按其价值加权。",
    ),
    "title.cold": (
        "{data}: NDCG@10 for {people:,} new people and {items:,} new items",
        "{data}：{people:,} 个新用户与 {items:,} 个新物品的 NDCG@10",
    ),
    "col.known_by": ("known by", "依据"),
    "col.people": ("people", "人数"),
    "col.with": ("with it", "使用"),
    "col.without": ("without", "不使用"),
    "col.gain": ("difference", "差值"),
    "cold.text": ("text (new items)", "文本（新物品）"),
    "cold.session": ("session", "会话"),
    "cold.segment": ("segment", "人群"),
    "cold.preferences": ("preferences asked for", "主动偏好"),
    "cold.pseudo-labels": ("pseudo-labels", "伪标签"),
    "cold.follows": ("people followed", "关注的人"),
    "cold.transfer": ("a map of another catalogue", "另一目录的映射"),
    "compiling": (
        "Compiling what isn't compiled on this machine yet: a minute or two, once.",
        "正在编译本机尚未编译的内核：一两分钟，只此一次。",
    ),
    "demo.intro": (
        "Palate's demo: {data}, one real person, one event.",
        "Palate 演示：{data}，一位真实用户，一个事件。",
    ),
    "demo.data": (
        "{users:,} users, {items:,} items, {events:,} events; trained in {seconds:.1f} s (model {model}, {tier} tier)",
        "{users:,} 位用户，{items:,} 个物品，{events:,} 个事件；训练用时 {seconds:.1f} 秒（模型 {model}，{tier} 档）",
    ),
    "demo.person": ("User {user}, {interactions} interactions", "用户 {user}，{interactions} 次互动"),
    "demo.event": ("Now {user} likes: {title}", "现在 {user} 喜欢了：{title}"),
    "demo.visible": (
        "The event is acknowledged at log position {seq}; the very next ranking already knows it.",
        "事件已确认，日志位置 {seq}；紧接着的排序就已经知道它。",
    ),
    "demo.overtaken": ("overtaken by {by}", "被超过：{by}"),
    "demo.still": ("No other item of these {k} changed its place.", "这 {k} 个物品的其余位置没有变化。"),
    "demo.reproduced": (
        "Ranked again from the log up to {seq}, without the event: exactly the ranking before.",
        "用日志中 {seq} 之前的内容（不含该事件）重新排序：与之前的排序完全相同。",
    ),
    "demo.not_reproduced": (
        "Ranked again from the log up to {seq}, without the event: NOT the ranking before.",
        "用日志中 {seq} 之前的内容（不含该事件）重新排序：与之前的排序不同。",
    ),
    "demo.next": (
        "The dashboard: palate serve --dir {path}. Or try: palate recommend {user} --dir {path}",
        "仪表盘：palate serve --dir {path}。也可以试试：palate recommend {user} --dir {path}",
    ),
    "serve.at": ("Palate serves {path} at {url} (Ctrl-C stops it)", "Palate 正在 {url} 提供 {path}（Ctrl-C 停止）"),
    "serve.key": ("A new API key, shown only now:", "新的 API 密钥，仅显示这一次："),
    "serve.key_where": (
        "Put its SHA-256 under [serve] in {path}/palate.toml:",
        "把它的 SHA-256 写入 {path}/palate.toml 的 [serve]：",
    ),
    "doctor.well": ("Everything is in order.", "一切正常。"),
    "doctor.warnings": ("Works; {count} remark(s) above.", "可以运行；上面有 {count} 条提示。"),
    "doctor.broken": ("{count} problem(s) to mend above.", "上面有 {count} 个问题需要修复。"),
}
"""Key → (English, Chinese)."""

_chosen: list[Language] = []


def choose(language: Language | None) -> None:
    """Use this language from now on; None: the environment's."""
    _chosen[:] = [language or from_environment(os.environ)]


def from_environment(environ: Mapping[str, str]) -> Language:
    """The first of ``LC_ALL``, ``LC_MESSAGES``, ``LANG`` that is set decides."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return "zh" if environ[name].lower().startswith("zh") else "en"
    return "en"


def language() -> Language:
    """The language in use."""
    if not _chosen:
        choose(None)
    return _chosen[0]


def say(key: str, **values: object) -> str:
    """The message ``key`` in the language in use, with ``values`` put in."""
    return MESSAGES[key][0 if language() == "en" else 1].format(**values)


def stage(name: str) -> str:
    """The name of a stage of work, translated where the catalogue knows it."""
    if f"stage.{name}" in MESSAGES:
        return say(f"stage.{name}")
    system, _, part = name.partition(": ")
    if part:
        return f"{system}{say('colon')}{stage(part)}"
    verb, _, what = name.partition(" ")
    return say(f"stage.{verb}", what=what) if what and f"stage.{verb}" in MESSAGES else name
