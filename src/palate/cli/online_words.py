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
    "former.better": (
        "On {decisions:,} choices that neither learnt from it ranks better than {former}: NDCG@10 {span}.",
        "在两个模型都没有学过的 {decisions:,} 次选择上，它优于 {former}：NDCG@10 {span}。",
    ),
    "former.even": (
        "On {decisions:,} choices that neither learnt from it is no worse than {former} beyond doubt: NDCG@10 {span}.",
        "在两个模型都没有学过的 {decisions:,} 次选择上，不能确定它比 {former} 差：NDCG@10 {span}。",
    ),
    "former.worse": (
        "On {decisions:,} choices that neither learnt from it ranks worse than {former}, which goes on: NDCG@10 "
        "{span}.",
        "在两个模型都没有学过的 {decisions:,} 次选择上，它比 {former} 差，因此继续使用 {former}：NDCG@10 {span}。",
    ),
    "former.few": (
        "It isn't judged against {former}: there are {decisions:,} choices since that one was trained, too few.",
        "未与 {former} 比较：自其训练以来只有 {decisions:,} 次选择，太少。",
    ),
    "former.unusable": (
        "It isn't judged against {former}, which doesn't fit this directory any more.",
        "未与 {former} 比较：后者已不再适用于此目录。",
    ),
    "stage.former": ("judging against the former model", "与之前的模型比较"),
    "col.former": ("over the former model", "领先之前的模型"),
    "col.weight": ("log odds a deviation", "每标准差的对数几率"),
}
ONLINE_HELP: dict[str, str] = {
    "Say what is learnt while the model serves: whether a correction is applied, what it is worth, changes that were "
    "found, and how a model that was trained in the background compares with the one before.": (
        "说明服务期间学到了什么：修正是否启用、价值多少、发现了哪些变化，以及后台训练的模型与之前的相比如何。"
    ),
}
