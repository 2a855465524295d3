"""What ``palate models online`` says, in English and Chinese."""

from __future__ import annotations

ONLINE: dict[str, tuple[str, str]] = {
    "online.off": (
        'Nothing is learnt of {model} while it serves: online.correct = "auto" in palate.toml.',
        '{model} 在服务时不做在线学习：在 palate.toml 中设置 online.correct = "auto"。',
    ),
    "online.learning": (
        "The correction of {model} has learnt from {labels:,} labels; it isn't applied, as it has not proven itself.",
        "{model} 的修正已从 {labels:,} 个标签中学习；尚未证明有用，因此没有启用。",
    ),
    "online.correcting": (
        "The correction of {model} has learnt from {labels:,} labels, and is applied.",
        "{model} 的修正已从 {labels:,} 个标签中学习，正在启用。",
    ),
    "online.gain": (
        "Log loss a label, predicted before it was learnt: {loss} by the model, {corrected} corrected. Saved by each "
        "of the last {judged:,} lessons: {gain} ± {error}.",
        "每个标签的对数损失（先预测后学习）：模型 {loss}，修正后 {corrected}。"
        "最近 {judged:,} 课平均每课节省 {gain} ± {error}。",
    ),
    "online.drifts": (
        "Changes for the worse: {drifts:,}; trainings begun by the clock or for them: {trained:,}.",
        "发现变差 {drifts:,} 次；因定时或变差而开始的训练 {trained:,} 次。",
    ),
    "online.trial.open": (
        "{model} is watched beside {before} after {rankings:,} rankings; difference a ranking: {span}.",
        "{model} 与 {before} 对比观察中，已有 {rankings:,} 次排序；每次排序的差值：{span}。",
    ),
    "online.trial.worse": (
        "{model} was taken back and {before} serves again; difference a ranking: {span}.",
        "{model} 已被撤回，恢复使用 {before}；每次排序的差值：{span}。",
    ),
    "online.trial.kept": (
        "{model} stood its test beside {before} in {rankings:,} rankings; difference a ranking: {span}.",
        "{model} 经 {rankings:,} 次排序与 {before} 对比后保留；每次排序的差值：{span}。",
    ),
    "col.weight": ("log odds a deviation", "每标准差的对数几率"),
}
ONLINE_HELP: dict[str, str] = {
    "Say what is learnt while the model serves: whether a correction is applied, what it is worth, changes that were "
    "found, and how a model that was trained in the background compares with the one before.": (
        "说明服务期间学到了什么：修正是否启用、价值多少、发现了哪些变化，以及后台训练的模型与之前的相比如何。"
    ),
}
