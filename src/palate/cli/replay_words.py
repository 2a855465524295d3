"""What ``palate replay`` says, in English and Chinese; see ``palate.cli.messages``."""

from __future__ import annotations

REPLAY: dict[str, tuple[str, str]] = {
    "stage.decisions": ("counting decisions", "统计决策"),
    "stage.learn": ("learning what places bring", "学习各位置的收益"),
    "stage.judge": ("judging decisions", "评判决策"),
    "title.replay": (
        "What a ranking would bring: model {model}, {reward} within {minutes:g} min, {variant}",
        "一次排序本会带来：模型 {model}，{minutes:g} 分钟内的 {reward}，{variant}",
    ),
    "col.estimator": ("estimator", "估计方法"),
    "col.low": ("95 % from", "95 % 下限"),
    "col.high": ("to", "上限"),
    "col.sure": ("± for any distribution", "± 任意分布下"),
    "replay.logged": ("as it was (logged)", "原样（日志）"),
    "replay.ips": ("IPS", "IPS（逆倾向）"),
    "replay.snips": ("SNIPS", "SNIPS（自归一化）"),
    "replay.dm": ("DM (the reward model alone)", "DM（仅收益模型）"),
    "replay.dr": ("DR", "DR（双重稳健）"),
    "replay.dros": ("DRos (shrunken weights: biased)", "DRos（收缩权重的双重稳健，有偏）"),
    "replay.lift": ("DR − as it was", "DR − 原样"),
    "replay.cascade": ("top {depth} as a cascade", "前 {depth} 位，级联"),
    "replay.slate": ("top {depth} as whole slates", "前 {depth} 位，整列"),
    "replay.slot": ("the exploration slot", "探索位"),
    "replay.counts": (
        "Judged on {judged:,} of {decisions:,} decisions, of {people:,} people; {rewarded:,} brought anything.",
        "在 {decisions:,} 个决策中的 {judged:,} 个上评判，涉及 {people:,} 人；其中 {rewarded:,} 个有收益。",
    ),
    "replay.skipped": ("Left out: {what}.", "略过：{what}。"),
    "replay.overlap": (
        "Overlap: worth {effective:,.0f} rankings of its own ({share:.1%}); largest weight {largest:,.1f}; {clipped:,} "
        "rankings with weights cut at {clip}.",
        "重叠：相当于它自己的 {effective:,.0f} 次排序（{share:.1%}）；最大权重 {largest:,.1f}；{clipped:,} 次排序的权重"
        "在 {clip} 处截断。",
    ),
    "replay.judged": ("Verdict: judged.", "结论：可以评判。"),
    "replay.cannot": ("Verdict: can't tell; the numbers are not to be believed.", "结论：看不出；这些数字不可信。"),
    "replay.nothing": ("Verdict: can't tell.", "结论：看不出。"),
    "skip.greedy": ("nothing was left to chance", "没有随机性"),
    "skip.no_slot": ("no exploration slot", "没有探索位"),
    "skip.incomplete": ("unshown candidates not kept", "未保留未展示的候选"),
    "skip.contexts": ("contexts of bandits not kept", "未保留策略的上下文"),
    "skip.floor": ("the slot went to an item owed impressions", "探索位给了应得展示的新物品"),
    "skip.features": ("other features", "特征不同"),
    "skip.empty": ("nothing shown", "什么也没展示"),
}
"""Key → (English, Chinese)."""
