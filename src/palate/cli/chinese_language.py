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
    "{name} is at hand, and wasn't measured: {command}.": "{name} 可用，但尚未测量：{command}。",
    "Nothing that was measured speaks for {name}.": "测得的结果中没有支持 {name} 的。",
    "Of a server's model nothing is known here.": "对服务器上的模型，这里一无所知。",
    "{name}: {mb} MB, {languages}, {licence}, by its known properties.": (
        "{name}：{mb} MB，{languages}，{licence}（已知属性）。"
    ),
    "{name} is a model of English, and {share} of the letters are of other scripts.": (
        "{name} 是英文模型，而 {share} 的字母属于其他文字。"
    ),
    "{name}: {valid} of {asked} answers are JSON of the schema; its server doesn't count tokens; {mb} MB.": (
        "{name}：{asked} 个回答中 {valid} 个是合规的 JSON；其服务器不计词元；{mb} MB。"
    ),
    "{name}: {valid} of {asked} answers are JSON of the schema; {read} tokens a second read, {written} written; {mb} "
    "MB.": "{name}：{asked} 个回答中 {valid} 个是合规的 JSON；每秒读取 {read}、生成 {written} 个词元；{mb} MB。",
    "Conversations: of {asked} utterances that the parser left it restated {right} rightly, in {ms} ms: let it help "
    "the parser.": "对话：解析器未懂的 {asked} 句中，它正确复述了 {right} 句，{ms} 毫秒：可让它协助解析器。",
    "Conversations: of {asked} utterances that the parser left it restated {right} rightly, in {ms} ms: leave them "
    "to the parser.": "对话：解析器未懂的 {asked} 句中，它正确复述了 {right} 句，{ms} 毫秒：仍由解析器处理。",
    "Re-ranking: an order takes {ms} ms, more than {most}: keep it off requests.": (
        "重排：一次排序需要 {ms} 毫秒，超过 {most}：不要放在请求路径上。"
    ),
    "Re-ranking: {gain} against {encoder} on {count} lists; {least} are needed to conclude anything.": (
        "重排：{count} 个列表上，与 {encoder} 相比 {gain}；至少需要 {least} 个才能下结论。"
    ),
    "Re-ranking: {gain} against {encoder} on {count} lists: it is worth trying (language.rerank), held out in part.": (
        "重排：{count} 个列表上，与 {encoder} 相比 {gain}：值得一试（language.rerank），并保留一部分不用。"
    ),
    "Re-ranking: {gain} against {encoder} on {count} lists: not better beyond doubt, leave it off.": (
        "重排：{count} 个列表上，与 {encoder} 相比 {gain}：不能确定更好，不要启用。"
    ),
    "With {count} interactions a gate can't be learnt yet: it takes 200 rankings with the model and 200 without.": (
        "只有 {count} 次互动，还学不出门限：需要有模型和没有模型的排序各 200 次。"
    ),
    "At night: a sentence about each of {texts} texts takes {hours} hours, within {most}.": (
        "夜间：为 {texts} 段文本各写一句需要 {hours} 小时，在 {most} 之内。"
    ),
    "At night: a sentence about each of {texts} texts takes {hours} hours, more than {most}.": (
        "夜间：为 {texts} 段文本各写一句需要 {hours} 小时，超过 {most}。"
    ),
    "{valid} of {asked} answers were JSON of the schema, and in time.": (
        "{asked} 个回答中只有 {valid} 个及时给出合规的 JSON。"
    ),
    "it knows English, and {share} of the letters are of other scripts.": "它懂英文，而 {share} 的字母属于其他文字。",
    "{count} texts would take {hours} hours, more than {most}.": "{count} 段文本需要 {hours} 小时，超过 {most}。",
    "a query would take {ms} ms, more than {most}.": "一次查询需要 {ms} 毫秒，超过 {most}。",
    "it takes {mb} MB, more than {most}.": "它占用 {mb} MB，超过 {most}。",
    "There is no generator: set language.generator.kind in palate.toml.": (
        "没有配置生成模型：请在 palate.toml 中设置 language.generator.kind。"
    ),
    "There is no model {name}; known are {names}, and hf:NAME.": "没有模型 {name}；已知的有 {names}，以及 hf:NAME。",
    "{name} comes as a package: {command}": "{name} 以软件包提供：{command}",
    "--task {name} is unknown: use {names}.": "--task {name} 未知：请用 {names}。",
    "Titles and tags of what people had would go to {host}, without their ids. Say --share if they may.": (
        "人们历史中的标题和标签（不含其编号）将发送到 {host}。若可以，请加 --share。"
    ),
    "It gains beyond doubt.": "收益确定。",
    "It loses beyond doubt.": "损失确定。",
    "The interval holds nothing as well: the logs don't say yet.": "区间包含零：记录还不足以判断。",
    "Chance let it be asked and held it out too seldom: {count} rankings of {people} people on the smaller side; "
    "{least} of {fewest} are needed.": (
        "随机询问与不询问的次数太少：较少的一边只有 {people} 人的 {count} 次排序；需要 {fewest} 人的 {least} 次。"
    ),
    "It is off (language.rerank.enabled).": "未启用（language.rerank.enabled）。",
    "The gate is {gate}.": "门限：{gate}。",
    "It moved something in {share} of the rankings in which it was asked.": "在询问过的排序中，{share} 有物品移动。",
    "No experiment compares two models that differ in it alone: palate experiment start.": (
        "没有实验比较只在这一点上不同的两个模型：palate experiment start。"
    ),
    "The experiment has {count} rankings of {people} people on its smaller side; {least} of {fewest} are needed.": (
        "实验中较少的一边只有 {people} 人的 {count} 次排序；需要 {fewest} 人的 {least} 次。"
    ),
    "One set of vectors serves at a time, so that no log holds both: compare palate evaluate with it and without it.": (
        "同一时间只有一套向量在服务，没有记录能同时包含两者：请分别在有和没有它时运行 palate evaluate 再比较。"
    ),
    "These texts stand on profiles; no ranking reads them.": "这些文字显示在画像中，排序不使用。",
    "These texts stand beside reasons; no ranking reads them.": "这些文字显示在理由旁边，排序不使用。",
    "Its text held in {used} of {count} ({low} to {high}); else the template stood.": (
        "{count} 次中有 {used} 次文字通过核实（{low} 至 {high}），其余使用模板。"
    ),
    "No turn was asked about.": "没有为任何一轮对话询问过。",
    "Of {count} turns that nothing else understood it made wishes of {used} ({low} to {high}).": (
        "在 {count} 轮无法以其他方式理解的对话中，它从 {used} 轮得出了要求（{low} 至 {high}）。"
    ),
    "Whether these were meant no draw tells: without it such turns come to nothing.": (
        "是否合乎本意无从随机比较：没有它，这样的对话不会有任何结果。"
    ),
}
