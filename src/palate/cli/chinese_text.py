"""Chinese for ``palate finetune``, ``palate classify`` and ``palate compress``: help, and what goes wrong."""

from __future__ import annotations

TEXT_HELP: dict[str, str] = {
    "Fine-tune a language model on labelled texts (--csv) or on a directory's own events (--events).": (
        "用带标签的文本（--csv）或某个目录自己的事件（--events）微调语言模型。"
    ),
    "The result is a folder: an encoder, onnx:FOLDER, and where classes were learnt, what palate classify takes.": (
        "结果是一个文件夹：编码器 onnx:FOLDER；学了类别的，也可供 palate classify 使用。"
    ),
    "A table of texts and labels: learn its classes.": "文本与标签的表格：学习其中的类别。",
    "The column with the texts.": "文本所在的列。",
    "The column with the labels.": "标签所在的列。",
    "An engine's directory: learn what people take next.": "引擎的目录：学习人们接下来选择什么。",
    "minilm, a Hugging Face folder or name, or a file of GGUF.": "minilm、Hugging Face 的文件夹或名称，或 GGUF 文件。",
    "Where the result goes; default: NAME.model.": "结果存放处；默认：名称.model。",
    "At most; of events: hundreds of steps.": "最多几轮；用事件时：几百步。",
    "Rows that are learnt from at once.": "一次学习多少行。",
    "Learning rate; by default the model's kind's.": "学习率；默认按模型种类。",
    "Rank of adapters, 0 for all weights; by default the size decides.": (
        "适配器（LoRA）的秩，0 表示训练全部权重；默认按模型大小决定。"
    ),
    "Leave the vectors of the tokens as they are: faster.": "词元向量保持不变：更快。",
    "Leave so many of the lowest layers as they are, too.": "最低的若干层也保持不变。",
    "Share of a text's tokens that it is learnt without.": "学习时每段文本随机略去的词元比例。",
    "Of a text that count, in learning and serving.": "训练与服务时一段文本计入多少词元。",
    "Of the table, to learn from and to judge by, at most; 0 for all.": (
        "最多使用表格的多少行来学习和评判；0 表示全部。"
    ),
    "In which all of it is done, to within a batch.": "全部工作须在此分钟数内完成（误差一个批次）。",
    "Also write a page of plots, in HTML.": "另写一份带图的 HTML 报告。",
    "Of the split, the order, the head.": "划分、顺序与分类头的随机种子。",
    "Of PyTorch.": "PyTorch 的线程数。",
    "Tell classes of texts by a fine-tuned model, without PyTorch; with --dir, as a field of every item.": (
        "用微调过的模型判定文本的类别，无需 PyTorch；给出 --dir 时，写成每个物品的字段。"
    ),
    "Such a field is one like any other: people have a taste for its values, filters and rankings know it.": (
        "这样的字段与其他字段一样：用户对其取值有偏好，过滤与排序都会用到。"
    ),
    "Tell the class of these.": "判定这些文本的类别。",
    "What palate finetune --csv has made.": "palate finetune --csv 的结果。",
    "Give every item of this engine its class as a field.": "把类别写成该引擎每个物品的字段。",
    "The field that gets it.": "写入的字段。",
    "Items less probable than this get none.": "概率低于此值的物品不写。",
    "Of the encoder.": "编码器的线程数。",
    "Make an encoder smaller and faster, measure what that costs, and refuse one that loses too much.": (
        "让编码器更小更快，测量代价，损失过大的予以拒绝。"
    ),
    "int8: weights of one byte. static: a vector a token, no network. pruned: fewer heads and neurons. layers: fewer "
    "layers. int8 may lose .05 of what is above chance, pruned and layers .1, static .25; when refused, exit code 1.": (
        "int8：单字节权重。static：每个词元一个向量，没有网络。pruned：更少的注意力头和神经元。layers：更少的层。"
        "高于随机的部分，int8 可损失 .05，pruned 与 layers 为 .1，static 为 .25；被拒绝时退出码为 1。"
    ),
    "A folder of palate finetune, minilm-fp32, a Hugging Face folder.": (
        "palate finetune 的文件夹、minilm-fp32 或 Hugging Face 的文件夹。"
    ),
    "What becomes of it.": "变成什么。",
    "Where the result goes; default: MODEL-KIND.model.": "结果存放处；默认：模型-种类.model。",
    "An engine, for its texts and to judge rankings by.": "一个引擎：取其文本，并用来评判排序。",
    "More texts, one a line, to learn from.": "更多用于学习的文本，每行一段。",
    "The table that classes were learnt from, to judge by.": "学习类别所用的表格，用来评判。",
    "Of the static student's vectors.": "静态学生模型的向量维度。",
    "That --to layers keeps.": "--to layers 保留的层数。",
    "Share of attention heads that --to pruned takes away.": "--to pruned 去掉的注意力头的比例。",
    "Share of neurons that --to pruned takes away.": "--to pruned 去掉的神经元的比例。",
    "Of pruned and layers, at most.": "pruned 与 layers 最多训练几轮。",
    "For the learning of pruned and layers.": "pruned 与 layers 的训练分钟数。",
    "Most of the quality above chance that may be lost.": "高于随机的质量最多可损失的比例。",
    "Keep it even if it loses more.": "即使损失更多也保留。",
    "Of what is kept out, and of order.": "留出文本与顺序的随机种子。",
}

TEXT_TROUBLE: dict[str, str] = {
    "{path} has no column {name}; it has {names}.": "{path} 没有 {name} 这一列；它有 {names}。",
    "Give one of --csv FILE and --events DIRECTORY.": "请在 --csv FILE 与 --events DIRECTORY 中给出一个。",
    "--report, --rows, --hold-tokens, --hold-layers and --drop-tokens are for --csv.": (
        "--report、--rows、--hold-tokens、--hold-layers 与 --drop-tokens 只用于 --csv。"
    ),
    "{path} is empty: its first line must name the columns.": "{path} 是空的：第一行须为列名。",
    "{path}, line {line}: the row has not {count} values as the first line has.": (
        "{path} 第 {line} 行：该行不像第一行那样有 {count} 个值。"
    ),
    "{path} is not UTF-8 (byte {at}): save it as UTF-8.": "{path} 不是 UTF-8（第 {at} 字节）：请存为 UTF-8。",
    "{path} is no table of comma-separated values: {error}.": "{path} 不是逗号分隔的表格：{error}。",
    "{path} has no row with both a text and a label.": "{path} 没有同时有文本和标签的行。",
    "Every label is {name}; there must be two classes or more.": "所有标签都是 {name}；至少要有两个类别。",
    "There are {count} labels; at most {most} can be learnt.": "有 {count} 个标签；最多能学 {most} 个。",
    "The label {name} has {count} different texts; each needs {least} or more.": (
        "标签 {name} 只有 {count} 段不同的文本；每个至少需要 {least} 段。"
    ),
    "{path} is no text model of Palate's, for it has no {file}: make one with palate finetune or palate compress.": (
        "{path} 不是 Palate 的文本模型，因为没有 {file}：请用 palate finetune 或 palate compress 制作。"
    ),
    "{path} holds a model for {kind}:, not for {other}:.": "{path} 里的模型用于 {kind}:，不用于 {other}:。",
    "{path} tells no classes: make one that does with palate finetune --csv.": (
        "{path} 不判定类别：请用 palate finetune --csv 制作能判定的。"
    ),
    "{path} exists and is no text model of Palate's: name another --out.": (
        "{path} 已存在且不是 Palate 的文本模型：请换一个 --out。"
    ),
    # what needs a package
    "Fine-tuning a language model": "微调语言模型",
    "Compressing a language model": "压缩语言模型",
    "Compressing to int8": "压缩为 int8",
    "Checking the exported model": "检查导出的模型",
    "Reading parts of speech": "读取词性",
    "Training a sequence model": "训练序列模型",
    "Tuning": "调参",
    "The encoder '{name}'": "编码器 '{name}'",
    "A server at {place}": "位于 {place} 的服务",
    "A GGUF model": "GGUF 模型",
    "Reading {file}.gguf": "读取 {file}.gguf",
    "Reading {file}.parquet": "读取 {file}.parquet",
    "The data set '{name}'": "数据集 '{name}'",
    "{model} is no folder, and looking for it in the Hugging Face cache": (
        "{model} 不是文件夹，而在 Hugging Face 缓存中查找它"
    ),
    "There is no file {path}.": "没有 {path} 这个文件。",
    "The model {name} has no tokenizer.json, which serving needs.": "模型 {name} 没有服务所需的 tokenizer.json。",
    "The model {name} can't be read: {error}": "无法读取模型 {name}：{error}",
    "The weights of minilm aren't here: run palate language fetch minilm-fp32.": (
        "这里没有 minilm 的权重：请运行 palate language fetch minilm-fp32。"
    ),
    "There are {count} steps from one text to the next in the first {share} of the log; fine-tuning on events needs "
    "{least} or more: give items texts, and people histories.": (
        "日志前 {share} 里从一段文本到下一段只有 {count} 步；用事件微调至少需要 {least} 步：请给物品文本，给用户历史。"
    ),
    "There are {count} texts, and {least} or more are needed to learn from and to judge by: name an engine with --dir, "
    "or a file of texts with --corpus.": (
        "只有 {count} 段文本，学习与评判至少需要 {least} 段：请用 --dir 指定引擎，或用 --corpus 指定文本文件。"
    ),
    "{path} is a static student already: compress what it was made from.": (
        "{path} 已是静态学生模型：请压缩它所源自的模型。"
    ),
    "The model has {count} layers; --hold-layers must lie between 0 and {most}.": (
        "该模型有 {count} 层；--hold-layers 须在 0 与 {most} 之间。"
    ),
    "--hold-layers is for a model that learns all its weights: give --lora 0.": (
        "--hold-layers 只用于学习全部权重的模型：请加 --lora 0。"
    ),
    "The model has {count} layers; --layers must lie between 1 and {most}.": (
        "该模型有 {count} 层；--layers 须在 1 与 {most} 之间。"
    ),
    "It loses {share} of its {measure} above chance, more than {limit}.": (
        "它损失了高于随机的 {measure} 的 {share}，超过 {limit}。"
    ),
    "Give either texts or --dir DIRECTORY.": "请给出文本或 --dir DIRECTORY，二者选一。",
    "--field must not be empty.": "--field 不能为空。",
    "--to {name} is unknown: use {names}.": "--to {name} 未知：请用 {names}。",
    "all-MiniLM-L6-v2, all of its precision: what palate finetune starts from": (
        "all-MiniLM-L6-v2 的全精度权重：palate finetune 的起点"
    ),
}
