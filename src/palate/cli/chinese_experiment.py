"""Chinese for what is said of experiments: help by paragraph, troubles and notes by template."""

from __future__ import annotations

EXPERIMENT_HELP: dict[str, str] = {
    "A/B tests: arms, people, differences with intervals.": "A/B 测试：各组、人数、带区间的差值。",
    "Start an A/B test: from now on its arms rank for the people who take part.": (
        "开始 A/B 测试：从现在起由各组为参与者排序。"
    ),
    "OF is users (share of people with at least one), events (how many a person), value (sum a person), mean_value, "
    "share (of values, those of at least so much), sentiment (of texts), or per_ranking (how many a ranking, of events "
    "that name theirs).": (
        "OF 可以是 users（至少有一次的人所占比例）、events（人均次数）、value（人均数值之和）、mean_value（平均数值）、"
        "share（数值不低于某值的比例）、sentiment（文字的情感）"
        "或 per_ranking（每次排序的次数，只计写明所属排序的事件）。"
    ),
    "A guardrail is worse than the control by at most worst, a share; less says that less is better, stop that the "
    "experiment ends where an arm breaks it.": (
        "护栏指标最多可比对照组差 worst（比例）；less 表示越少越好，stop 表示被突破时结束实验。"
    ),
    "A metric that no arm may spoil.": "任何一组都不得损害的指标。",
    "Mix both arms into every ranking instead of spreading people.": "把两组混排在每次排序中，而不是把人分组。",
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
    "There is no experiment {name}: palate experiment list (GET /v1/experiments) names them.": (
        "没有名为 {name} 的实验：palate experiment list（GET /v1/experiments）可列出全部。"
    ),
    "The experiment {name} has ended already.": "实验 {name} 已经结束。",
    "{where}: there is no setting {name} in it; there are {names}.": "{where} 没有 {name} 这个设置；有 {names}。",
    "There is no model {version} on the shelf: palate models list.": (
        "没有 {version} 这个模型：palate models list 可列出全部。"
    ),
    "--arm {text}: {pair} is not of the form key=value.": "--arm {text}：{pair} 不是“键=值”的形式。",
    "--arm {text}: {value} is no number.": "--arm {text}：{value} 不是数字。",
    "--metric {text}: {value} is no number.": "--metric {text}：{value} 不是数字。",
    "--guardrail {text}: {value} is no number.": "--guardrail {text}：{value} 不是数字。",
    "--metric {text}: {of} is unknown; use {names}.": "--metric {text}：没有 {of}；请用 {names}。",
    "--guardrail {text}: {of} is unknown; use {names}.": "--guardrail {text}：没有 {of}；请用 {names}。",
    "An experiment has at most {most} guardrails, no two the same.": "实验至多有 {most} 个护栏，且互不相同。",
    "{where} is a share: say of what value on with at_least.": "{where} 是比例：请用 at_least 说明从什么数值算起。",
    "{where} is what texts say, which has no value: leave at_least out.": (
        "{where} 取自文字，没有数值：请去掉 at_least。"
    ),
    "Two arms are interleaved; this experiment has {count}.": "混排只能有两个组；这个实验有 {count} 个。",
    "{where} draws its order by chance: interleaved arms are greedy, for propensities to be exact.": (
        "{where} 的顺序带随机性：混排的组必须是 greedy，倾向才精确。"
    ),
    "{where}: {of} credits no arm; interleaved arms are credited with items that were taken up: use per_ranking.": (
        "{where}：{of} 无法归因到某一组；混排按被选中的物品归因：请用 per_ranking。"
    ),
    "Interleaved arms share their people: no guardrail can tell them apart.": "混排的两组共用同一批人：护栏无法区分。",
    "Left out: {count} whose arm's model couldn't be used, so that another one ranked (rankings: {told}). They are "
    "missing in that arm alone; stop the experiment, mend the model, and start another.": (
        "{count} 人因所在组的模型不可用而由另一个模型排序，不予计入（排序次数：{told}）。"
        "只有那一组缺了这些人；请停止实验、修好模型后另开一个。"
    ),
    "Left out: {count} rankings that one arm made alone, as a model couldn't be used.": (
        "{count} 次排序因模型不可用而由单独一组完成，不予计入。"
    ),
    "Ended by a guardrail: {what}.": "因护栏而结束：{what}。",
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
