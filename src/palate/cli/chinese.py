"""Chinese for the English sentences that a user of the command line meets, by template; see ``palate.cli.translation``.

The first template that fits is taken, so that the particular stand above the general. A test keeps the English in step
with the code that says it. What only a client of the service or a reader of its log meets stays English.
"""

from __future__ import annotations

from palate.cli.chinese_doctor import DOCTOR
from palate.cli.chinese_experiment import EXPERIMENT_TROUBLE
from palate.cli.chinese_language import MODELS_ZH
from palate.cli.chinese_replay import REPLAY_ZH
from palate.cli.chinese_simulate import SIMULATE_TROUBLE
from palate.cli.chinese_text import TEXT_TROUBLE
from palate.cli.chinese_trouble import TROUBLE

_FRAMES: dict[str, str] = {
    "None of the {rows} rows of {path} is good; the first trouble is in {file}, row {row}: {error}": (
        "{path} 的 {rows} 行都不可用；第一处问题在 {file} 第 {row} 行：{error}"
    ),
    "{file}, row {row}: {error}": "{file} 第 {row} 行：{error}",
    "{file} was left out: {reason}.": "略过 {file}：{reason}。",
}
"""Sentences around sentences: before all others, which could take the frame for a part of their own."""

FOREIGN: dict[str, str] = {
    # Typer, pydantic, msgspec, json, the operating system
    "Missing option {name}.": "缺少选项 {name}。",
    "Missing argument {name}.": "缺少参数 {name}。",
    "No such command {name}.": "没有 {name} 这个命令。",
    "No such option: {name} (Possible options: {names}).": "没有 {name} 这个选项（是否想用：{names}）。",
    "No such option: {name}.": "没有 {name} 这个选项。",
    "Option {name} requires an argument.": "选项 {name} 需要一个值。",
    "Option {name} does not take a value.": "选项 {name} 不带值。",
    "Got unexpected extra argument ({names}).": "多出了参数（{names}）。",
    "Got unexpected extra arguments ({names}).": "多出了参数（{names}）。",
    "Invalid value for {name}: {error}": "{name} 的值无效：{error}",
    "Input should be a valid integer, unable to parse string as an integer.": "应为整数。",
    "Input should be a valid number, unable to parse string as a number.": "应为数字。",
    "Input should be less than or equal to {most}.": "应不大于 {most}。",
    "Input should be greater than or equal to {least}.": "应不小于 {least}。",
    "{sentence}: {key}: expected {wanted}, got {found}; use {names}.": (
        "{sentence}：{key} 应为 {wanted}，却是 {found}；请用 {names}。"
    ),
    "{sentence}: {key}: expected {wanted}, got {found}.": "{sentence}：{key} 应为 {wanted}，却是 {found}。",
    "{sentence}: {key}: invalid enum value {value}; use {names}.": "{sentence}：{key} 不能是 {value}；请用 {names}。",
    "Expected {wanted}, got {found} - at {place}.": "{place} 应为 {wanted}，却是 {found}。",
    "Expected {wanted}, got {found}.": "应为 {wanted}，却是 {found}。",
    "Invalid value {value} - at {place}: use item, user, impression or interaction, whose type says what was done.": (
        "{place} 不能是 {value}：请用 item、user、impression 或 interaction；做了什么由 type 表示。"
    ),
    "Invalid value {value} - at {place}.": "{place} 不能是 {value}。",
    "Object missing required field {name} - at {place}.": "{place} 缺少必需的键 {name}。",
    "Object contains unknown field {name} - at {place}.": "{place} 含有未知的键 {name}。",
    "Input data was truncated": "内容不完整",
    "JSON is malformed: {detail}": "JSON 格式错误：{detail}",
    "Expecting value: line {line} column {column} (char {at})": "第 {line} 行第 {column} 列缺少值",
    "Expecting property name enclosed in double quotes: line {line} column {column} (char {at})": (
        "第 {line} 行第 {column} 列应为双引号括起的键"
    ),
    "Expecting {sign} delimiter: line {line} column {column} (char {at})": "第 {line} 行第 {column} 列应为 {sign}",
    "Extra data: line {line} column {column} (char {at})": "第 {line} 行第 {column} 列之后多出内容",
    "Unterminated string starting at: line {line} column {column} (char {at})": (
        "第 {line} 行第 {column} 列开始的字符串没有闭合"
    ),
    "Object contains unknown field {name}.": "含有未知的键 {name}。",
    "Object contains unknown field {name}": "含有未知的键 {name}",
    "Object missing required field {name}.": "缺少必需的键 {name}。",
    "No such file or directory": "没有这个文件或目录",
    "Permission denied": "权限不足",
    "No space left on device": "磁盘已满",
    "Is a directory": "这是一个目录",
    "Not a directory": "这不是目录",
    "Read-only file system": "文件系统只读",
    "Address already in use": "地址已被占用",
    "Cannot assign requested address": "不是本机的地址",
    "[Errno 111] Connection refused": "连接被拒绝",
    "[Errno -2] Name or service not known": "无法解析主机名",
    "[Errno -3] Temporary failure in name resolution": "无法解析主机名",
    "Remote end closed connection without response": "对方没有应答就断开了连接",
    "timed out": "超时",
    "list": "列表",
    "str": "字符串",
    "int": "整数",
    "float": "数字",
    "bool": "布尔值",
    "NoneType": "空值",
}

_ERRORS: dict[str, str] = {
    # the directory and the service
    "{path} is a file; an engine lives in a directory.": "{path} 是文件；引擎需要一个目录。",
    "{path} is in use by process {holder}, the service at {url}, and this command needs it for itself: stop the "
    "service (kill {pid}), run the command, and start the service again{reason}.": (
        "{path} 正由进程 {holder}（{url} 处的服务）使用，而此命令需要独占它：请停止服务（kill {pid}），运行此命令，"
        "再重新启动服务{reason}。"
    ),
    "{path} is in use by process {holder}, the service at {url}, and this command needs it for itself: stop the "
    "service (kill {pid}), run the command, and start the service again.": (
        "{path} 正由进程 {holder}（{url} 处的服务）使用，而此命令需要独占它：请停止服务（kill {pid}），运行此命令，"
        "再重新启动服务。"
    ),
    "; or send the events to {url}": "；或者把事件发送到 {url}",
    "{path} is in use by {holder}: {advice}": "{path} 正被占用（{holder}）：请等它结束，或停止它。",
    "{path} is already open in this process (pid {pid}): close that engine first, or use it from both places.": (
        "{path} 已在本进程（pid {pid}）中打开：请先关闭那个引擎，或两处共用它。"
    ),
    "The directory {path} can't be made: {error}. Name one that this process may write to.": (
        "无法创建目录 {path}：{error}。请指定本进程可写的目录。"
    ),
    "Cannot lock {path}: {error}. The file system must support flock and have room.": (
        "无法锁定 {path}：{error}。文件系统须支持 flock 且有空间。"
    ),
    "{log} {what}, and is no new log: restore it from a backup, or move events.db* away to begin a new one.": (
        "{log} 已丢失、为空或被截断，而它不是新日志：请从备份恢复，或移走 events.db* 以重新开始。"
    ),
    "{log} {what}, and the snapshot {name} was taken at position {position}: events are lost. Restore events.db from a "
    "backup; or, to go on from the log as it is, remove {path}.": (
        "{log} 已丢失、为空或被截断，早于位置 {position} 处的快照 {name}：有事件丢失。"
        "请从备份恢复 events.db；若要从现有日志继续，请删除 {path}。"
    ),
    "{log} is damaged or not an event log ({error}): restore it from a backup.": (
        "{log} 已损坏或不是事件日志（{error}）：请从备份恢复。"
    ),
    "The service at {url} does not answer: {error}. Is it still running?": (
        "{url} 处的服务没有应答：{error}。它还在运行吗？"
    ),
    "{url} did not answer as Palate does: {error}.": "{url} 的应答不像 Palate：{error}。",
    "{url} ended in the middle of a line; the export is not whole: try again.": (
        "{url} 在一行中间断开，导出不完整：请重试。"
    ),
    "Name a user or a session, not both: what either did is kept apart.": (
        "请只指定用户或会话之一：两者的行为是分开保存的。"
    ),
    "Neither a user nor a session is named: palate forget u1, or --session s1.": (
        "没有指定用户或会话：palate forget u1，或 --session s1。"
    ),
    "{url} answered with status {status} and no explanation; is it Palate?": (
        "{url} 返回状态 {status}，没有说明原因；它是 Palate 吗？"
    ),
    "{url} is not an address of the form http://host:port.": "{url} 不是 http://主机:端口 形式的地址。",
    "{sentence} The command line reads the key from PALATE_API_KEY.": "{sentence}命令行从 PALATE_API_KEY 读取密钥。",
    "{sentence} The former model goes on answering.": "{sentence}仍由原来的模型应答。",
    "{sentence} The present model goes on answering.": "{sentence}仍由现在的模型应答。",
    "Palate has no API key, so it may only listen on this machine, not on {host}: run `palate serve --new-key`, put "
    "the hash it prints into serve.keys of palate.toml, then start again; or use --host 127.0.0.1.": (
        "没有 API 密钥时只能监听本机，不能监听 {host}：请运行 `palate serve --new-key`，把它给出的摘要写入 "
        "palate.toml 的 serve.keys，再重新启动；或使用 --host 127.0.0.1。"
    ),
    # data sets
    "{name} is neither a data set ({names}) nor an existing file or folder.": (
        "{name} 既不是数据集（{names}），也不是已有的文件或文件夹。"
    ),
    "It holds no CSV, TSV, NDJSON, JSON or Parquet file.": "其中没有 CSV、TSV、NDJSON、JSON 或 Parquet 文件。",
    "Nothing in {path} can be read as a data set. {sentence}": "{path} 中没有可以读作数据集的内容。{sentence}",
    "None of {count} events is good; the first (index {index}): {error}": (
        "{count} 个事件都不可用；第一个（序号 {index}）：{error}"
    ),
    "{sentence} needs the package {package}, which is not installed: {command}": (
        "{sentence}：需要尚未安装的包 {package}，请运行 {command}"
    ),
    "The mapping {source} can't be read: {error}.": "无法读取列映射 {source}：{error}。",
    "Bad key in {source}: {error}. Known keys: {keys}.": "{source} 中有错误的键：{error}。可用的键：{keys}。",
    "The mapping names the column {column} for {role}; no file has it. There are: {columns}.": (
        "列映射为 {role} 指定了列 {column}，但没有文件含有它。现有的列：{columns}。"
    ),
    "The mapping is for files {pattern}; there is none among {names}.": (
        "列映射针对文件 {pattern}，但 {names} 中没有这样的文件。"
    ),
    "{file} has no column {column} for {role}; it has {columns}.": (
        "{file} 没有用于 {role} 的列 {column}；它有 {columns}。"
    ),
    "{file} is mapped as {kind}, but its columns ({columns}) don't tell {what} apart: name them in the mapping.": (
        "{file} 被映射为 {kind}，但从它的列（{columns}）分不出 {what}：请在列映射中指明。"
    ),
    "--out {file}: there is no folder {folder}.": "--out {file}：没有 {folder} 这个文件夹。",
    "--out {file} is a folder: name the file to write, such as events.ndjson.": (
        "--out {file} 是文件夹：请给出要写的文件名，例如 events.ndjson。"
    ),
    "--out {file} is a file: name a folder for the reports.": "--out {file} 是文件：请给出存放报告的文件夹。",
    # requests
    "k is {k}; it must lie between {least} and {most}.": "k 是 {k}；它必须在 {least} 与 {most} 之间。",
    "policy {name} is unknown; use {known}.": ("没有 {name} 这个策略；请用 {known}。"),
    "--seen {name} is unknown: use auto, drop or keep.": "--seen {name} 无效：请用 auto、drop 或 keep。",
    "--seen {name} is unknown: use drop, keep or both.": "--seen {name} 无效：请用 drop、keep 或 both。",
    "--test {name} is neither 'all' nor a number of events above 0.": (
        "--test {name} 既不是 'all'，也不是大于 0 的事件数。"
    ),
    "{name} is unknown: use en or zh.": "没有 {name} 这种语言：请用 en 或 zh。",
    "{where} {item} is there twice: each candidate may be sent once.": (
        "{where} {item} 出现了两次：每个候选只能给出一次。"
    ),
    "There is no item {item} in the catalogue.": "目录中没有物品 {item}。",
    "There is no decision {ranking}: take the id from an answer's 'ranking' field. Decisions of the last moments "
    "before a crash, and all while decisions.enabled is false, are not kept.": (
        "没有排序 {ranking} 的决策：编号取自回答的 'ranking' 字段。崩溃前最后片刻的决策，以及 decisions.enabled "
        "为 false 时的决策不会保留。"
    ),
    "Decision {ranking} has expired: decisions are kept for {days} days and {bytes} bytes (decisions.max_days, "
    "decisions.max_bytes).": (
        "排序 {ranking} 的决策已过期：决策保留 {days} 天、{bytes} 字节（decisions.max_days、decisions.max_bytes）。"
    ),
    "{item} was not shown in the ranking {ranking}, and features of unshown items are kept only for a sample "
    "(decisions.sample).": "排序 {ranking} 中没有显示 {item}；未显示物品的特征只抽样保留（decisions.sample）。",
    "The ranking {ranking} was made with the features of another version of Palate, or others are switched off now.": (
        "排序 {ranking} 是用另一版本 Palate 的特征生成的，或者现在关闭了别的特征。"
    ),
    # models and training
    "There is no model {version} in {path}: versions are called v0001, v0002, …; list the models to see those there.": (
        "{path} 中没有模型 {version}：版本名为 v0001、v0002……；可列出模型查看。"
    ),
    "There is no model {version} in {path}; list the models to see those there.": (
        "{path} 中没有模型 {version}；可列出模型查看。"
    ),
    "There is no earlier model to roll back to; activate a version by its name instead.": (
        "没有更早的模型可以回滚；请按名称启用一个版本。"
    ),
    "There are {count} interactions; training needs at least {least}. Until then the blend that works from event one "
    "ranks: just ingest more events.": (
        "只有 {count} 次互动；训练至少需要 {least} 次。在此之前由内置混合排序：继续导入事件即可。"
    ),
    "A training is running in the background: wait until it has finished, then train again.": (
        "后台正在训练：请等它结束后再训练。"
    ),
    "A training is running already; GET /v1/status says when it has ended.": (
        "已经在训练；GET /v1/status 会说明何时结束。"
    ),
    "The system {name} is unknown; there are {names}.": "没有 {name} 这个系统；可用的有 {names}。",
    "{count} interactions can't be split into train, validation and test: give at least 20.": (
        "{count} 次互动不足以分成训练、验证和测试：至少需要 20 次。"
    ),
    "Nothing can be recommended to user {user}: {name} has too few items.": (
        "没有可以推荐给用户 {user} 的物品：{name} 的物品太少。"
    ),
    "The data holds no user with interactions, so there is nobody to rank for.": (
        "数据中没有有互动的用户，因此没有人可以排序。"
    ),
    # settings
    "{file} is not valid TOML: {error}.": "{file} 不是有效的 TOML：{error}。",
    "{sentence}: {key} is no setting; {reason}": "{sentence}：没有 {key} 这项设置；{reason}",
    "did you mean {name}?": "是否想用 {name}？",
    "known at {reason}: {names}.": "{reason}可用的有：{names}。",
    "the top": "最上层",
}

_REPORT: dict[str, str] = {
    "{name}: {rows} rows read from {source}; {kept} kept, {rejected} rejected.": (
        "{name}：从 {source} 读取 {rows} 行；保留 {kept} 行，拒绝 {rejected} 行。"
    ),
    "{events} events of {users} users with {items} items ({types}).": (
        "{users} 位用户与 {items} 个物品的 {events} 个事件（{types}）。"
    ),
    "{events} events of {users} users with {items} items.": "{users} 位用户与 {items} 个物品的 {events} 个事件。",
    "{count} items are described; {missing} have no text.": "{count} 个物品有描述；{missing} 个没有文字。",
    "The events span {first} to {last}.": "事件的时间从 {first} 到 {last}。",
    "{share} of the events repeat a user and item that had met before; {count} are equal in every respect to an "
    "earlier one.": "{share} 的事件是同一用户与同一物品再次相遇；{count} 个与更早的事件完全相同。",
    "{count} rows have no timestamp.": "{count} 行没有时间。",
    "{count} users look like machines:": "{count} 位用户像是机器：",
    "{count} further rejected rows are not listed.": "另有 {count} 行被拒绝，未列出。",
    "user {user}: {count} events within one minute.": "用户 {user}：一分钟内有 {count} 个事件。",
    "user {user}: {count} events, where the median user has {median}.": (
        "用户 {user}：{count} 个事件，而中位用户有 {median} 个。"
    ),
    "{file} has no times: the order of its rows is taken for time, a second each.": (
        "{file} 没有时间：以行的顺序为时间，每行一秒。"
    ),
    # why a row was refused
    "The row has {count} columns; the header has {wanted}.": "该行有 {count} 列，表头有 {wanted} 列。",
    "The row opens a quotation mark that is never closed.": "该行的引号没有闭合。",
    "The row is not a JSON object.": "该行不是 JSON 对象。",
    "The row is not valid JSON: {detail}.": "该行不是有效的 JSON：{detail}。",
    "The row is not valid UTF-8.": "该行不是有效的 UTF-8。",
    "The row is not valid {encoding}; for another encoding give encoding in the mapping.": (
        "该行不是有效的 {encoding}；若是别的编码，请在列映射中给出 encoding。"
    ),
    "The rest of the file can't be read: {detail}.": "无法读取文件的其余部分：{detail}。",
    "{reason} needs a timestamp here: without one it has no place in the history.": (
        "{reason}需要时间：没有时间就无法放入历史。"
    ),
    "An impression": "曝光",
    "A deletion": "删除",
    "Neither user nor session is given: an interaction or impression needs one of them.": (
        "没有用户也没有会话：互动或曝光需要其中之一。"
    ),
    "{what} is neither a text nor a number.": "{what} 既不是文字也不是数字。",
    "{what} is neither a Unix time nor ISO-8601; for another layout give time_format in the mapping.": (
        "{what} 既不是 Unix 时间也不是 ISO-8601；若是别的格式，请在列映射中给出 time_format。"
    ),
    "{what} does not have the layout {layout}.": "{what} 不符合格式 {layout}。",
    "{what} lies outside the years 1970 to 9999.": "{what} 不在 1970 年到 9999 年之间。",
    "{what} is negative: a return is not a purchase.": "{what} 是负数：退货不是购买。",
    "{what} is not a finite number.": "{what} 不是有限的数。",
    "{what} is not a number.": "{what} 不是数字。",
    "{what} is not a time.": "{what} 不是时间。",
    "{what} is missing.": "缺少 {what}。",
    # why a file was left out
    "the mapping says so": "列映射要求略过",
    "its name says that it is for evaluation only": "名称表明它只用于评测",
    "its suffix is none of {names}": "后缀不在 {names} 之中",
    "none of its columns ({columns}) names users or items; a mapping can": (
        "它的列（{columns}）都没有指明用户或物品；可用列映射指明"
    ),
    "{file} is its clean form": "{file} 是它整理过的形式",
    "{file} is empty": "{file} 是空的",
    "{file} is not valid JSON: {detail}": "{file} 不是有效的 JSON：{detail}",
    "{file} is not a JSON array of objects": "{file} 不是由对象组成的 JSON 数组",
    "{file} is not a Parquet file: {detail}": "{file} 不是 Parquet 文件：{detail}",
}

SYSTEM: dict[str, str] = {
    "{file} can't be read: {error}.": "无法读取 {file}：{error}。",
    "{file} can't be read: {detail}": "无法读取 {file}：{detail}",
    "{path} could not be written: {error}.": "无法写入 {path}：{error}。",
    "{file}: No such file or directory.": "{file}：没有这个文件或目录。",
    "{file}: Permission denied.": "{file}：权限不足。",
    "{file}: Permission denied": "{file}：权限不足",
    "{file}: No space left on device.": "{file}：磁盘已满。",
    "{file}: Is a directory.": "{file}：这是一个目录。",
    "{file}: Not a directory.": "{file}：这不是目录。",
    "{file}: Read-only file system.": "{file}：文件系统只读。",
}
"""What is said of any file: after all others, of which it may be the end."""

SENTENCES: dict[str, str] = {
    **_FRAMES,
    **FOREIGN,
    **REPLAY_ZH,
    **_ERRORS,
    **TROUBLE,
    **_REPORT,
    **DOCTOR,
    **EXPERIMENT_TROUBLE,
    **SIMULATE_TROUBLE,
    **MODELS_ZH,
    **TEXT_TROUBLE,
    **SYSTEM,
    # Last, since others above say the same of something.
    "{where} is {value}; it must lie between {low} and {high}.": "{where} 是 {value}；它必须在 {low} 与 {high} 之间。",
}
"""English template → Chinese."""
