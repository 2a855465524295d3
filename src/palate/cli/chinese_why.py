"""Chinese for what is said of explanations: help by paragraph."""

from __future__ import annotations

WHY_HELP: dict[str, str] = {
    "Also give its reasons as a text, in a generator's words where there is one.": (
        "同时把原因写成一段文字；配置了生成模型时由其措辞。"
    ),
    "Where it would stand had the person done otherwise.": "若此人有别的行为，它会在第几位。",
    "A linear model near it, beside the exact contributions.": "其附近的线性模型，与精确贡献并列。",
    "Say what a model goes by, over logged rankings: importance and dependence of features, a few rules that stand for "
    "it, and how often what it puts first is taken up.": (
        "说明模型依据什么（基于已记录的排序）：特征的重要性与依赖关系、概括它的几条规则，以及排在前面的有多少被选中。"
    ),
    "A version, as `palate models list` shows it; the one that serves when left out.": (
        "版本，如 `palate models list` 所示；省略则为正在使用的版本。"
    ),
}
