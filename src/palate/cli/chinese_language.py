"""Chinese for what ``palate language`` says of models, by template like ``palate.cli.chinese``."""

from __future__ import annotations

MODELS_ZH: dict[str, str] = {
    "16, English and Chinese among them": "16 种，包括英文和中文",
    "94, English and Chinese among them": "94 种，包括英文和中文",
    "any, by its words": "任意，按字词",
    "English, others weakly": "英文，其他较弱",
    "English": "英文",
    "{name} serves already, and {best} is not better beyond doubt: {gain}.": (
        "{name} 已在服务，而 {best} 并不确定更好：{gain}。"
    ),
    "{name} is {times} times as fast as {best} and hardly worse: {loss}.": (
        "{name} 的速度是 {best} 的 {times} 倍，且几乎不差：{loss}。"
    ),
    "{name} is the best of {count} that fit.": "在符合条件的 {count} 个中 {name} 最好。",
    "{name}: {metric} on {count} questions, {rate} texts a second, {ms} ms for one, {mb} MB.": (
        "{name}：{metric}（{count} 题），每秒 {rate} 段文本，单条 {ms} 毫秒，{mb} MB。"
    ),
    "It is not better than chance beyond doubt: these texts say little of what people take next. Give items categories "
    "and descriptions, not titles alone.": (
        "它并不确定优于随机：这些文本几乎不能说明人们接下来的选择。请给物品提供类别和描述，而不只是标题。"
    ),
    "It is not better beyond doubt than always naming the commonest class ({share}).": (
        "它并不确定优于总是选择最常见的类别（{share}）。"
    ),
    "No cross-encoder is known to Palate: the ranking model takes these cosines beside what people did.": (
        "Palate 没有交叉编码器：排序模型把这些余弦值与人们的行为一起使用。"
    ),
    "No cross-encoder is known to Palate: the ranking model takes these cosines beside what people did; it can be "
    "trained from 50 interactions on.": (
        "Palate 没有交叉编码器：排序模型把这些余弦值与人们的行为一起使用；有 50 次互动后即可训练。"
    ),
    "None of those measured fits the limits: what serves stays.": "测过的都不符合限制：保持现状。",
    "{name} stays until there is evidence.": "在有证据之前保留 {name}。",
    "No generator is at hand: palate language fetch smollm2, or name a server.": (
        "没有可用的生成模型：运行 palate language fetch smollm2，或指定一个服务器。"
    ),
    "{name} is at hand. Generators weren't measured: keep them off the path of requests, and let an encoder embed, "
    "rerank and classify.": ("{name} 可用。生成模型没有测量：请不要让它们处于请求路径上，向量、重排和分类交给编码器。"),
    "it knows English, and {share} of the letters are of other scripts.": "它懂英文，而 {share} 的字母属于其他文字。",
    "{count} texts would take {hours} hours, more than {most}.": "{count} 段文本需要 {hours} 小时，超过 {most}。",
    "a query would take {ms} ms, more than {most}.": "一次查询需要 {ms} 毫秒，超过 {most}。",
    "it takes {mb} MB, more than {most}.": "它占用 {mb} MB，超过 {most}。",
    "There is no model {name}; known are {names}, and hf:NAME.": "没有模型 {name}；已知的有 {names}，以及 hf:NAME。",
    "{name} comes as a package: {command}": "{name} 以软件包提供：{command}",
    "--task {name} is unknown: use {names}.": "--task {name} 未知：请用 {names}。",
}
