"""What ``palate explain`` and ``palate models importance`` say, in English and Chinese; see ``palate.cli.messages``."""

from __future__ import annotations

WHY: dict[str, tuple[str, str]] = {
    "words.ai": (
        "(AI-generated from the reasons below, and checked against them)",
        "（由 AI 根据下列原因生成，并已对照核实）",
    ),
    "words.template": ("(by template)", "（由模板写成）"),
    "title.groups": ("By reason", "按原因"),
    "why.outside": ("not in the score", "不计入得分"),
    "why.again": (
        "Ranked again with the same {count:,} candidates, it stands at place {place}. By score:",
        "用同样的 {count:,} 个候选重新排序，它在第 {place} 位。按得分：",
    ),
    "why.nothing": (
        "Nothing in this history speaks for it, and nothing near it would raise it.",
        "历史中没有支持它的行为，与它相近的内容也不会让它上升。",
    ),
    "why.without": ("Without the {type} on {title}", "若没有对「{title}」的{type}"),
    "why.with": ("With a {type} on {title}", "若对「{title}」有{type}"),
    "why.fall": (
        "{event}, it would fall from place {before} to {after}.",
        "{event}，它会从第 {before} 位降到第 {after} 位。",
    ),
    "why.rise": (
        "{event}, it would rise from place {before} to {after}.",
        "{event}，它会从第 {before} 位升到第 {after} 位。",
    ),
    "why.same": ("{event}, it would stay at place {after}.", "{event}，它仍在第 {after} 位。"),
    "why.gone": ("{event}, it could not be shown.", "{event}，它将无法展示。"),
    "title.lime": ("LIME: a linear model near it (fit R² {fit:.3f})", "LIME：其附近的线性模型（拟合 R² {fit:.3f}）"),
    "col.lime": ("LIME", "LIME"),
    "col.exact": ("exact", "精确值"),
    "title.parameters": ("What the model goes by", "模型依据什么"),
    "title.importance": ("Features", "特征"),
    "col.share": ("share", "占比"),
    "col.importance": ("mean |contribution|", "平均 |贡献|"),
    "col.variance": ("by itself", "模型自身"),
    "col.curve": ("contribution, low to high value", "贡献（取值由低到高）"),
    "importance.live": (
        "Model {model}, over {rows:,} candidates of {decisions:,} logged rankings.",
        "模型 {model}，依据 {decisions:,} 次已记录排序的 {rows:,} 个候选。",
    ),
    "importance.replay": (
        "Model {model}, over {rows:,} candidates of {decisions:,} rankings replayed in training.",
        "模型 {model}，依据训练时重放的 {decisions:,} 次排序的 {rows:,} 个候选。",
    ),
    "importance.none": (
        "Model {model}, by itself alone: no ranking is logged ({decisions:,} rankings, {rows:,} candidates).",
        "模型 {model}，仅由模型得出：没有已记录的排序（{decisions:,} 次排序，{rows:,} 个候选）。",
    ),
    "importance.surrogate": (
        "In a few rules (R² {fidelity:.3f} against the model on candidates held out, {rows:,} fitted):",
        "用几条规则概括（在留出候选上与模型的 R² 为 {fidelity:.3f}，拟合用 {rows:,} 个）：",
    ),
    "importance.rule": ("{score:+.3f}  {tests}  ({rows:,})", "{score:+.3f}  {tests}  （{rows:,}）"),
    "importance.and": (" and ", " 且 "),
    "importance.always": ("always", "总是"),
    "title.clicked": (
        "What it puts first, against what was taken up ({decisions:,} rankings)",
        "排在前面的与被选中的（{decisions:,} 次排序）",
    ),
    "col.taken": ("taken up", "被选中"),
    "col.left": ("not taken up", "未被选中"),
    "importance.first": ("among the first", "在前面"),
    "importance.below": ("below", "在后面"),
    "importance.precision": (
        "Of those put first, {precision:.1%} were taken up; of those taken up, {recall:.1%} had been put first.",
        "排在前面的有 {precision:.1%} 被选中；被选中的有 {recall:.1%} 排在前面。",
    ),
}
