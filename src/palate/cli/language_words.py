"""What ``palate language`` says, in English and Chinese."""

from __future__ import annotations

LANGUAGE: dict[str, tuple[str, str]] = {
    "title.language": ("Models that Palate knows", "Palate 认识的模型"),
    "title.measured": ("Measured here", "在本机测得"),
    "title.recommended": ("Recommended", "推荐"),
    "col.model": ("model", "模型"),
    "col.task": ("task", "任务"),
    "col.tasks": ("tasks", "任务"),
    "col.licence": ("licence", "许可"),
    "col.mb": ("MB", "MB"),
    "col.width": ("width", "维度"),
    "col.languages": ("languages", "语言"),
    "col.state": ("here", "本机"),
    "col.texts_s": ("texts/s", "文本/秒"),
    "col.one_ms": ("one, ms", "单条毫秒"),
    "col.memory": ("MB", "内存 MB"),
    "col.questions": ("questions", "题数"),
    "col.auc": ("AUC", "AUC"),
    "col.hit": ("hit@1", "hit@1"),
    "col.accuracy": ("classes", "分类准确率"),
    "col.choice": ("choice", "选择"),
    "col.why": ("why", "理由"),
    "language.serves": ("● serves", "● 正在服务"),
    "language.here": ("installed", "已安装"),
    "language.fetch": ("palate language fetch {name}", "palate language fetch {name}"),
    "language.install": ("pip install 'palate[{extra}]'", "pip install 'palate[{extra}]'"),
    "language.others": (
        "Also hf:NAME or hf:FOLDER (sentence-transformers models, extra transformers), onnx:FOLDER and static:FOLDER "
        "(made by palate finetune and palate compress), and openai:MODEL (a server).",
        "另有 hf:NAME 或 hf:FOLDER（任意 sentence-transformers 模型，附加组件 transformers），"
        "onnx:FOLDER 和 static:FOLDER（由 palate finetune 与 palate compress 制作），"
        "以及 openai:MODEL（服务器）。",
    ),
    "language.fetched": ("{name} lies in {path}.", "{name} 位于 {path}。"),
    "language.chance": (
        "Chance: AUC .5, hit@1 .1, classes {majority} (always the commonest). {texts:,} texts, "
        "{questions:,} questions, {titles:,} titles.",
        "随机水平：AUC .5，hit@1 .1，分类 {majority}（总选最常见的）。"
        "{texts:,} 段文本，{questions:,} 题，{titles:,} 个标题。",
    ),
    "language.excluded": ("left out: {name}: {reason}", "排除：{name}：{reason}"),
    "language.set": (
        'To use it, set encoder = "{name}" under [language] in palate.toml: texts are encoded anew beside the one that '
        "serves.",
        '要使用它，请在 palate.toml 的 [language] 下设置 encoder = "{name}"：文本会在现有编码器服务的同时重新编码。',
    ),
    "stage.asking": ("asking the generator", "询问生成模型"),
    "language.cost": (
        "{answered:,} of {asked:,} questions answered, {failed:,} failed; {kept:,} known before; {tokens:,} tokens, "
        "{seconds:,.0f} s, {cost:.2f} by the prices set.",
        "{asked:,} 个问题中回答了 {answered:,} 个，失败 {failed:,} 个；此前已有 {kept:,} 个；{tokens:,} 个词元，"
        "{seconds:,.0f} 秒，按所设价格 {cost:.2f}。",
    ),
    "language.stopped": (
        "Stopped before the end: {why}. Run it again to go on.",
        "提前停止：{why}。再次运行即可继续。",
    ),
    "language.sentences": (
        'To have them encoded, set summaries = "{path}" under [language] in palate.toml, start again and train.',
        '要让它们参与编码，请在 palate.toml 的 [language] 下设置 summaries = "{path}"，然后重启并训练。',
    ),
    "title.generators": ("Generators, measured here", "生成模型（本机测得）"),
    "col.read": ("read/s", "读取词元/秒"),
    "col.written": ("written/s", "生成词元/秒"),
    "col.chat_ms": ("talk, ms", "对话毫秒"),
    "col.text_ms": ("sentence, ms", "一句毫秒"),
    "col.order_ms": ("order, ms", "排序毫秒"),
    "col.valid": ("JSON", "合规 JSON"),
    "col.restated": ("restated", "正确复述"),
    "title.worth": ("What language gains, and costs", "语言部分的收益与成本"),
    "col.part": ("part", "部分"),
    "col.worth_gain": ("gain a ranking", "每次排序的收益"),
    "col.worth_verdict": ("verdict", "结论"),
    "col.asked": ("asked", "询问次数"),
    "col.used": ("used", "采用次数"),
    "col.tokens": ("tokens", "词元"),
    "col.cost_seconds": ("seconds", "秒"),
    "col.cost_ms": ("ms, median", "毫秒（中位）"),
    "col.money": ("money", "费用"),
    "worth.decisions": (
        "{decisions:,} logged rankings without a query. The reward of one is the discounted gain of what came of it.",
        "{decisions:,} 次没有查询的排序记录。每次排序的奖励是其结果的折损增益。",
    ),
    "worth.rerank": ("re-ranking by the generator", "生成模型重排"),
    "worth.teacher": ("teacher's lists", "教师列表"),
    "worth.chat": ("turns of conversations", "对话"),
    "worth.words": ("reasons in words", "文字理由"),
    "worth.items": ("sentences about items", "物品摘要"),
    "worth.people": ("texts about people", "用户摘要"),
    "worth.encoder": ("encoder", "编码器"),
    "worth.verdict.gains": ("gains", "有收益"),
    "worth.verdict.loses": ("loses", "有损失"),
    "worth.verdict.can't tell": ("can't tell", "无法判断"),
    "worth.verdict.nothing to gain": ("nothing to gain", "不影响排序"),
    "worth.needed": (
        "About {count:,} more such rankings would tell a gain of 5 %.",
        "约再有 {count:,} 次这样的排序才能看出 5 % 的收益。",
    ),
    "language.people": (
        "{written:,} people have a text on their profile now, marked ai_generated; {refused:,} answers weren't taken.",
        "现在有 {written:,} 位用户的画像带有文字，标为 ai_generated；{refused:,} 个回答未被采用。",
    ),
    "language.refused.strange": ("no plain text", "不是普通文字"),
    "language.refused.number": ("a number that wasn't given", "有未给出的数字"),
    "language.refused.name": ("a name that wasn't given", "有未给出的名称"),
    "language.refused.muted": ("what they don't want", "提到对方不想要的内容"),
    "language.refused.private": ("what is nobody's business", "涉及隐私"),
    "language.refused.empty": ("a sentence that says nothing", "有空话"),
    "language.refused.language": ("another language", "语言不符"),
    "language.refused.gone": ("unknown by now, or wants something else", "已不再知晓，或想要的已改变"),
    "stage.reading profiles": ("reading profiles", "读取画像"),
    "language.orders": (
        'To learn from them, set teacher = "{path}" under [train] in palate.toml and train.',
        '要从中学习，请在 palate.toml 的 [train] 下设置 teacher = "{path}"，然后训练。',
    ),
    "stage.measuring": ("measuring {what}", "测量 {what}"),
}
