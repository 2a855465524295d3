"""Chinese for what a judgement on logged decisions says; see ``palate.cli.chinese``."""

from __future__ import annotations

REPLAY_ZH: dict[str, str] = {
    "No interaction in the log names the ranking that it answers: send the answer's 'ranking' with clicks.": (
        "日志中没有任何交互注明它回应的排序：请在点击中带上回答里的 'ranking'。"
    ),
    "Nothing of the type {name} followed a ranking within {minutes} minutes: choose another --reward or a longer "
    "--window.": "排序之后 {minutes} 分钟内没有 {name} 类型的交互：换一个 --reward，或加长 --window。",
    "The weights average {mean} where they should average 1: much of what the configuration would show was never "
    "shown. Let policy.rank or policy.recommend be plackett_luce, with a higher policy.temperature, for a while.": (
        "权重均值为 {mean}，本应为 1：该配置会展示的很多内容从未展示过。"
        "请让 policy.rank 或 policy.recommend 用一段时间的 plackett_luce，并调高 policy.temperature。"
    ),
    "The log says as much as {found} rankings of the configuration's own, and {least} are needed: explore more "
    "(policy.temperature), log longer, or keep the candidates of more decisions (decisions.sample = 1).": (
        "日志只相当于该配置自己的 {found} 次排序，需要 {least} 次："
        "多探索一些（policy.temperature）、记录更久，或为更多决策保留候选（decisions.sample = 1）。"
    ),
    "Only {found} rankings' worth of rewards speak for the configuration, and {least} are needed: log longer, or "
    "choose a --reward that comes more often.": (
        "支持该配置的收益只相当于 {found} 次排序，需要 {least} 次：记录更久，或选一个更常出现的 --reward。"
    ),
    "The decision log is empty: rank with decisions.enabled = true, and let clicks name their 'ranking'.": (
        "决策日志是空的：请在 decisions.enabled = true 时排序，并让点击注明 'ranking'。"
    ),
    "The log holds no exploration: every place was certain, so nothing is known of what wasn't shown. Set policy.rank "
    "or policy.recommend to plackett_luce (or policy.explore = true, for one slot of recommend).": (
        "日志里没有探索：每个位置都是确定的，因此对未展示的一无所知。"
        "请把 policy.rank 或 policy.recommend 设为 plackett_luce（或设 policy.explore = true，在推荐中留一个探索位）。"
    ),
    "No decision has an exploration slot: set policy.explore = true, and don't name a policy in the requests.": (
        "没有决策带探索位：请设 policy.explore = true，并且不要在请求里指定策略。"
    ),
    "No decision kept the contexts that a bandit goes by: set policy.learn = true, or rank with a bandit for a "
    "while.": ("没有决策保留老虎机策略所需的上下文：请设 policy.learn = true，或用这种策略排序一段时间。"),
    "The explored place of every decision went to an item that was owed impressions (policy.new_floor), which says "
    "nothing of other items there.": (
        "每个决策的探索位都给了应得展示的新物品（policy.new_floor），因此对其他物品在该位置会怎样一无所知。"
    ),
    "The bandit is judged by what it knew at position {found} of the log, which these very rankings taught it: it "
    "looks somewhat better than it will be.": (
        "老虎机策略按其在日志位置 {found} 时所学评判，而正是这些排序教会了它：它看起来会比实际稍好。"
    ),
    "The bandit is judged by what it believes before it has learnt anything.": ("老虎机策略按其尚未学习时的先验评判。"),
    "No decision kept the features of its unshown candidates: raise decisions.sample (1 keeps all).": (
        "没有决策保留未展示候选的特征：请调高 decisions.sample（1 为全部保留）。"
    ),
    "Every decision was logged with other features, by another version of Palate or with other features.off: they "
    "can't be scored by this one.": (
        "所有决策记录的特征都不同（来自 Palate 的其他版本，或不同的 features.off）：这个版本无法为它们打分。"
    ),
    "No decision of the log showed anything that could be scored.": "日志中没有决策展示过可以打分的物品。",
    "Not judged, since candidates and features are those of the log: {names}.": (
        "候选与特征取自日志，因此没有评判：{names}。"
    ),
    "What was learnt while serving (online.correct) is not judged: scores are the model's.": (
        "服务期间学到的修正（online.correct）不参与评判：得分只取模型本身的。"
    ),
    "policy.diversity is judged as 0: how alike items are is not in the log.": (
        "policy.diversity 按 0 评判：物品之间的相似度不在日志里。"
    ),
    "Judged is what the configuration would have put into the exploration slot, below the same items as shown; the "
    "places around it were certain, and nothing is known of others there.": (
        "评判的是该配置会在探索位放什么，其上仍是当时展示的物品；其余位置是确定的，换成别的会怎样无从得知。"
    ),
    "What {name} learnt beside its scorer (EASE, towers, groups) is not judged: those columns are as the model that "
    "served computed them.": "{name} 在打分器之外学到的（EASE、塔、人群）没有评判：这些列是当时服务的模型算出的。",
    "depth is {found}; it must lie between 1 and 100.": "depth 为 {found}；应在 1 与 100 之间。",
    "window_minutes is {found}; it must be above 0.": "window_minutes 为 {found}；应大于 0。",
    "least is {found}; it must be at least 0, in rankings.": "least 为 {found}；应至少为 0（以排序次数计）。",
    "reward is empty: name a type of interaction, such as click, or weights.": (
        "reward 为空：请指定一种互动类型（如 click），或 weights。"
    ),
    "clip is {found}; it must be at least 1, the weight of a ranking that fits.": (
        "clip 为 {found}；应至少为 1，即吻合的排序的权重。"
    ),
    "--variant {found} is unknown: use cascade, slate or slot.": (
        "不认识 --variant {found}：请用 cascade、slate 或 slot。"
    ),
}
"""English template → Chinese."""
