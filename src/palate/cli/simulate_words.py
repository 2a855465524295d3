"""What ``palate simulate`` says, in English and Chinese; see ``palate.cli.messages``."""

from __future__ import annotations

SIMULATE: dict[str, tuple[str, str]] = {
    "stage.play": ("playing", "模拟"),
    "stage.references": ("playing references", "模拟参照"),
    "title.simulate": (
        "{visits:,} rankings for {people:,} simulated people, {items:,} items; clicks expected of the truth",
        "为 {people:,} 位模拟用户排序 {visits:,} 次，{items:,} 个物品；点击数为真值的期望",
    ),
    "col.ranker": ("ranked by", "排序者"),
    "col.reward": ("clicks a ranking", "每次排序的点击"),
    "col.regret": ("regret a ranking", "每次排序的遗憾"),
    "col.quality": ("share of the best", "占最佳的比例"),
    "col.skill": ("0 chance, 1 best", "0 随机，1 最佳"),
    "col.recovered": ("events until 90 % of before", "恢复到此前 90 % 所需事件"),
    "col.fresh": ("new items: of the fair exposure", "新物品：公平曝光的比例"),
    "ranker.palate": ("Palate", "Palate"),
    "ranker.best": ("the best possible", "最佳可能"),
    "ranker.popular": ("popularity", "热门"),
    "ranker.random": ("random", "随机"),
    "simulate.never": ("more than {most}", "超过 {most}"),
    "simulate.shift": (
        "On day {day:g} the tastes of {share:.0%} of the people changed.",
        "第 {day:g} 天，{share:.0%} 的用户口味突变。",
    ),
    "simulate.fresh": (
        "New items have their fair exposure ({fair:.0%} of it or more) once {chances} rankings could have shown them; "
        "by then they had been shown {impressions:.1f} times on average.",
        "新物品在 {chances} 次可以展示它的排序之后获得公平曝光（不低于 {fair:.0%}）；"
        "到那时平均已展示 {impressions:.1f} 次。",
    ),
    "simulate.fair": (
        "New items have their fair exposure ({fair:.0%} of it or more) from their first ranking on.",
        "新物品从第一次排序起就获得公平曝光（不低于 {fair:.0%}）。",
    ),
    "simulate.unfair": (
        "New items never had their fair exposure while they were new.",
        "新物品在算作新的期间一直没有得到公平的曝光。",
    ),
    "simulate.kept": (
        "What was played is kept in {path}; to judge another configuration on it: palate replay --dir {path} "
        "--config FILE",
        "模拟的数据保存在 {path}；可在其上评判别的配置：palate replay --dir {path} --config 文件",
    ),
}
"""Key → (English, Chinese)."""
