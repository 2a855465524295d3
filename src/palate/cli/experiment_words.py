"""What ``palate experiment`` says, in English and Chinese."""

from __future__ import annotations

EXPERIMENT: dict[str, tuple[str, str]] = {
    "experiment.started": (
        "{name} runs: palate experiment show {name} says how it stands.",
        "{name} 已开始：用 palate experiment show {name} 查看进展。",
    ),
    "experiment.stopped": (
        "{name} has ended; everybody is ranked for as before. What people do within their horizon still counts.",
        "{name} 已结束；所有人恢复原来的排序。各人期限内的行为仍会计入。",
    ),
    "experiment.none": (
        "{path} has no experiments: palate experiment start.",
        "{path} 还没有实验：请用 palate experiment start。",
    ),
    "experiment.broken": (
        "Don't believe these figures: people didn't come to the arms as declared (p = {p}). Look for requests that one "
        "arm loses, and for two salts.",
        "请勿采信以上数字：各组人数与设定的比例不符（p = {p}）。请检查是否有某一组丢失请求，或用了两种盐值。",
    ),
    "experiment.preference": (
        "{metric}: of rankings with a credit {arm} won {wins:,}, lost {losses:,}, and drew {ties:,}.",
        "{metric}：在有归因的排序中，{arm} 胜 {wins:,}、负 {losses:,}、平 {ties:,}。",
    ),
    "title.guardrails": ("Guardrails", "护栏"),
    "guardrail.held": ("held", "守住"),
    "guardrail.broken": ("broken", "被突破"),
    "guardrail.open": ("open", "尚无定论"),
    "guardrail.too_few": ("too few people", "人数太少"),
    "title.experiments": ("Experiments", "实验"),
    "title.arms": ("{name}: what people did", "{name}：用户的行为"),
    "title.differences": ("Against {control}", "与 {control} 相比"),
    "col.experiment": ("experiment", "实验"),
    "col.arm": ("arm", "组"),
    "col.arms": ("arms", "各组"),
    "col.metric": ("metric", "指标"),
    "col.metrics_named": ("metrics", "指标"),
    "col.begun": ("begun", "开始"),
    "col.ended": ("ended", "结束"),
    "col.counted": ("counted", "已计入"),
    "col.rankings": ("rankings", "排序次数"),
    "col.difference": ("difference", "差值"),
    "col.relative": ("relative", "相对"),
    "col.verdict": ("verdict", "结论"),
    "verdict.better": ("better", "更好"),
    "verdict.worse": ("worse", "更差"),
    "verdict.open": ("open", "尚无定论"),
    "verdict.too_few": ("too few people", "人数太少"),
}
