"""What ``palate finetune``, ``palate classify`` and ``palate compress`` say, in English and Chinese."""

from __future__ import annotations

TEXTS: dict[str, tuple[str, str]] = {
    "title.epochs": ("Learning (● is kept)", "训练过程（● 为保留的）"),
    "title.classes": ("Classes, on {rows:,} rows kept for judging", "各类别，在留作评判的 {rows:,} 行上"),
    "title.confusion": (
        "Confusion: rows are true, columns what they were taken for",
        "混淆矩阵：行为真实类别，列为判定类别",
    ),
    "title.ranked": (
        "Ranking probe on the last fifth of the log, {questions:,} questions",
        "日志最后五分之一上的排序测验，{questions:,} 题",
    ),
    "col.epoch": ("epoch", "轮"),
    "col.step": ("step", "步"),
    "col.loss": ("loss", "损失"),
    "col.valid_loss": ("loss, stopping", "停止集损失"),
    "col.valid_auc": ("AUC, stopping", "停止集 AUC"),
    "col.valid_accuracy": ("accuracy, stopping", "停止集准确率"),
    "col.class": ("class", "类别"),
    "col.true": ("true", "真实"),
    "col.precision": ("precision", "精确率"),
    "col.recall": ("recall", "召回率"),
    "col.f1": ("F1", "F1"),
    "col.rows": ("rows", "行数"),
    "col.text": ("text", "文本"),
    "col.items": ("items", "物品数"),
    "col.probability": ("probability", "概率"),
    "finetune.done": (
        "{family}, {parameters:,} parameters, of which {learnt:,} learnt from {rows:,} rows in {seconds:.0f} s.",
        "{family}，{parameters:,} 个参数，其中 {learnt:,} 个从 {rows:,} 行中学习，用时 {seconds:.0f} 秒。",
    ),
    "finetune.left_out": (
        "Left out: {blank:,} rows without text or label, {repeated:,} whose text was there before.",
        "略去：{blank:,} 行没有文本或标签，{repeated:,} 行的文本已出现过。",
    ),
    "finetune.cut": ("The minutes were over before learning was.", "时间用完时训练尚未结束。"),
    "finetune.mean": ("mean", "平均"),
    "finetune.accuracy": (
        "Accuracy {accuracy:.3f} [{low:.3f}, {high:.3f}]; always the commonest: {majority:.3f}.",
        "准确率 {accuracy:.3f} [{low:.3f}, {high:.3f}]；总选最常见的：{majority:.3f}。",
    ),
    "finetune.use_classes": (
        "Written to {path}. Its classes as a field of every item: palate classify --model {path} --dir DIRECTORY. As "
        'an encoder: encoder = "{encoder}" under [language].',
        "已写入 {path}。把类别作为每个物品的字段：palate classify --model {path} --dir 目录。用作编码器："
        '在 [language] 下设置 encoder = "{encoder}"。',
    ),
    "finetune.pairs": (
        "{family}, from {pairs:,} steps of people ({stop:,} to stop by) between {texts:,} texts, in {seconds:.0f} s.",
        "{family}，学习了人们在 {texts:,} 段文本之间的 {pairs:,} 步（另 {stop:,} 步用于停止），用时 {seconds:.0f} 秒。",
    ),
    "finetune.before": ("before", "之前"),
    "finetune.after": ("after", "之后"),
    "finetune.gain": ("gain", "增益"),
    "finetune.use": (
        'Written. To use it, set encoder = "{encoder}" under [language] in palate.toml: texts are encoded anew beside '
        "the one that serves.",
        '已写入。要使用它，请在 palate.toml 的 [language] 下设置 encoder = "{encoder}"：'
        "文本会在现有编码器服务的同时重新编码。",
    ),
    "finetune.nothing": (
        "Nothing was better than the model as it is: nothing was written.",
        "没有比原模型更好的：什么都没有写入。",
    ),
    "classify.done": (
        "{items:,} items with a text, {unsure:,} too unsure; {accepted:,} got the field {field}. Filters know it at "
        "once, tastes too; palate train learns what it is worth.",
        "{items:,} 个物品有文本，{unsure:,} 个不够确定；{accepted:,} 个得到字段 {field}。过滤与偏好立即使用它；"
        "palate train 会学习它的价值。",
    ),
    "compress.before": ("before", "之前"),
    "compress.after": ("after", "之后"),
    "compress.change": ("change", "变化"),
    "compress.agreement": ("agreement with the original", "与原模型的一致性"),
    "compress.ranking": ("ranking probe, AUC", "排序测验 AUC"),
    "compress.classes": ("classes, accuracy", "分类准确率"),
    "compress.refused": (
        "Refused, nothing was written: {why} (--force keeps it.)",
        "已拒绝，未写入：{why}（--force 可保留。）",
    ),
    "compress.forced": ("Kept because of --force: {why}", "因 --force 而保留：{why}"),
    "compress.done": (
        'Written to {path}; as an encoder: encoder = "{encoder}" under [language].',
        '已写入 {path}；用作编码器：在 [language] 下设置 encoder = "{encoder}"。',
    ),
    "col.epoch_seconds": ("s", "秒"),
    "stage.finetuning": ("learning {what}", "训练 {what}"),
    "stage.encoding": ("encoding texts by the teacher", "教师模型编码文本"),
    "stage.tokens": ("encoding tokens by the teacher", "教师模型编码词元"),
    "stage.fitting": ("fitting", "拟合"),
    "stage.quantising": ("quantising", "量化"),
    "stage.judging": ("judging", "评判"),
    "stage.classifying": ("classifying", "分类"),
}
"""Key → (English, Chinese)."""
