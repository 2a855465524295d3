"""Chinese for what is said of experiments: help by paragraph, troubles and notes by template."""

from __future__ import annotations

EXPERIMENT_HELP: dict[str, str] = {
    "A/B tests: arms, people, differences with intervals.": "A/B 测试：各组、人数、带区间的差值。",
    "Start an A/B test: from now on its arms rank for the people who take part.": (
        "开始 A/B 测试：从现在起由各组为参与者排序。"
    ),
    "OF is users (share of people with at least one), events (how many a person), value (sum a person), mean_value, or "
    "per_ranking (how many a ranking, of events that name theirs).": (
        "OF 可以是 users（至少有一次的人所占比例）、events（人均次数）、value（人均数值之和）、mean_value（平均数值）"
        "或 per_ranking（每次排序的次数，只计写明所属排序的事件）。"
    ),
    "The experiment's name.": "实验的名称。",
    "An arm, the control first. Keys: weight, model, and settings of the policy.": (
        "一个组，对照组在先。可用的键：weight、model 以及策略的设置。"
    ),
    "Of events of a type; the first decides.": "针对某类事件的指标；第一个用于下结论。",
    "Of all people that take part.": "参与者占所有人的比例。",
    "How long after a person's first ranking events count.": "每人首次排序之后多少天内的事件计入。",
    "About how many are expected.": "预计的大致人数。",
    "List the experiments of a directory, running or ended.": "列出目录中的实验，进行中的和已结束的。",
    "Say how an experiment stands. Look as often as you like: the intervals hold at all times together.": (
        "说明实验的进展。可以随时查看：区间在所有时刻同时成立。"
    ),
    "Stop an experiment: everybody is ranked for as before.": "停止实验：所有人恢复原来的排序。",
}

EXPERIMENT_TROUBLE: dict[str, str] = {
    "The name {name} isn't one: use up to 64 letters, digits, '.', '_' and '-'.": (
        "{name} 不能作名称：请用至多 64 个字母、数字、“.”、“_”和“-”。"
    ),
    "An experiment has 2 to {most} arms; this one has {count}.": "实验应有 2 到 {most} 个组；这里有 {count} 个。",
    "An experiment has 1 to {most} metrics.": "实验应有 1 到 {most} 个指标。",
    "Two metrics are the same.": "有两个相同的指标。",
    "{where}.name {name} is no name, or another arm's too.": "{where}.name {name} 不能作名称，或与另一组重复。",
    "{where}.type is no type of interactions.": "{where}.type 不是交互的类型。",
    "There is an experiment {name} already: choose another name.": "已经有名为 {name} 的实验：请换一个名称。",
    "There is no experiment {name}: GET /v1/experiments lists them.": (
        "没有名为 {name} 的实验：palate experiment list 可列出全部。"
    ),
    "The experiment {name} has ended already.": "实验 {name} 已经结束。",
    "There is no model {version} on the shelf: palate models list.": (
        "没有 {version} 这个模型：palate models list 可列出全部。"
    ),
    "--arm {text}: {pair} is not of the form key=value.": "--arm {text}：{pair} 不是“键=值”的形式。",
    "--arm {text}: {value} is no number.": "--arm {text}：{value} 不是数字。",
    "--metric {text}: {of} is unknown; use {names}.": "--metric {text}：没有 {of}；请用 {names}。",
    "Not counted yet: {count}; everybody is once {days} days have passed since their first ranking.": (
        "{count} 人尚未计入：每人在首次排序满 {days} 天后计入。"
    ),
    "Left out: {count} for whom more than one arm ranked.": "{count} 人被不止一个组排序过，不予计入。",
    "Events that name no ranking, and so count for no per_ranking metric: {count}. Send the answer's id as ranking of "
    "what people do with it.": (
        "{count} 个事件没有写明所属的排序，不计入 per_ranking 指标：请在事件的 ranking 中带上答复的编号。"
    ),
    "Only the first metric decides; among many others one differs by chance.": (
        "只有第一个指标用于下结论；其他指标一多，总有一个会碰巧不同。"
    ),
}
