"""The help of every command and option in Chinese, by its English paragraph. A test keeps it complete and in use."""

from __future__ import annotations

from palate.cli.chinese_experiment import EXPERIMENT_HELP
from palate.cli.chinese_simulate import SIMULATE_HELP
from palate.cli.chinese_text import TEXT_HELP
from palate.cli.chinese_why import WHY_HELP
from palate.cli.online_words import ONLINE_HELP

HELP: dict[str, str] = {
    **SIMULATE_HELP,
    **TEXT_HELP,
    "[bold]Examples[/bold]": "[bold]示例[/bold]",
    "Show this message and exit.": "显示本帮助并退出。",
    # palate
    "Palate ranks a catalogue for one person, now, and understands language while it does so.": (
        "Palate 把一份目录排成此刻最适合某一个人的顺序，并且理解语言。"
    ),
    "Print the version and stop.": "显示版本并退出。",
    "Language of the messages.": "消息的语言。",
    "The engine's directory.": "引擎的目录。",
    "Print the answer as JSON on stdout; messages go to stderr.": "在标准输出以 JSON 给出结果；消息写到标准错误。",
    # demo
    "Show Palate at work: import, train, one real person's ranking, one event, the ranking after, what moved "
    "and why.": ("演示 Palate：导入、训练、一位真实用户的排序、一个事件、之后的排序、移动了什么以及原因。"),
    "Then the dashboard is served, unless --no-serve or --json is given or there is no terminal.": (
        "随后提供仪表盘；给出 --no-serve 或 --json，或者没有终端时除外。"
    ),
    "It trains the cheap tier, which takes seconds; --tier full takes minutes, and ranks better.": (
        "训练 cheap 档，只需几秒；--tier full 需要几分钟，排序更好。"
    ),
    "How much of training is done; full takes minutes.": "训练做多少：cheap 或 full；full 需要几分钟。",
    "What to show it with.": "用哪份数据演示。",
    "Stop after the story; no dashboard.": "演示完就结束，不启动仪表盘。",
    "Of the dashboard; 0: any.": "仪表盘的端口；0：任意空闲端口。",
    "Judge what each way of knowing new people and items is worth.": "评估了解新用户与新物品的各种途径各有多大价值。",
    "Learn what texts go together in one catalogue, and use it in another that knows little yet.": (
        "在一份目录里学会哪些文本常在一起，用到另一份所知尚少的目录里。"
    ),
    "The map holds no ids and no texts. A service takes it in when it starts; the next training says what it is "
    "worth.": ("映射里没有任何编号和文本。服务在启动时读入它；下一次训练会说明它的价值。"),
    "Keep the map in a file instead.": "改为把映射存进文件。",
    "Where a map is learnt, or kept.": "映射从哪里学来，或存在哪里。",
    # import, export, rebuild
    "Import a data set or a folder of CSV, NDJSON or Parquet, and report on its rows.": (
        "导入数据集，或装有 CSV、NDJSON、Parquet 的文件夹，并报告各行的情况。"
    ),
    "Importing the same data twice changes nothing: every row has an id of its own.": (
        "同一份数据导入两次不会有任何变化：每一行都有自己的编号。"
    ),
    "A data set by name, or a folder or file.": "数据集的名称，或者文件夹、文件。",
    "Which columns of a folder mean what.": "说明文件夹中各列的含义。",
    "Write the whole event log as NDJSON, one event a line, in log order; `palate import` reads it back.": (
        "按日志顺序以 NDJSON 写出整个事件日志，每行一个事件；可用 `palate import` 读回。"
    ),
    "Where to write; stdout when left out.": "写到哪里；省略则写到标准输出。",
    "Everything that is kept of one user instead of the log.": "不导出日志，而导出关于一位用户所保存的一切。",
    "Everything that is kept of one anonymous session.": "导出关于一个匿名会话所保存的一切。",
    "With --user or --session: all that is kept of one person, from every table: profile, state, events, decisions.": (
        "加上 --user 或 --session：导出关于一个人的全部数据，来自每一张表：画像、状态、事件、决策。"
    ),
    # forget
    "Erase a person: from the log, the decisions, the snapshots and the state, as if they had never been there.": (
        "彻底删除一个人的数据：日志、决策、快照和状态中都不再有，就像此人从未出现过。"
    ),
    "They are unknown at once; a service erases them in the background. The next model is trained without them.": (
        "立即视为未知用户；服务会在后台完成删除。下一个模型的训练不再用到其数据。"
    ),
    "The user's id.": "用户的编号。",
    "An anonymous session instead of a user.": "删除一个匿名会话，而不是用户。",
    "Fold the state again from the log, compare its digest with the state in use, and keep the rebuilt one.": (
        "由日志重新生成状态，与正在使用的状态比较摘要，并保留重建的状态。"
    ),
    "The exit code is 1 when they differed.": "两者不同时退出码为 1。",
    # train, models
    "Train the ranking model on the decisions in the log, or on the history replayed into decisions.": (
        "用日志中的决策训练排序模型；没有决策时，把历史重放成决策。"
    ),
    "The best on the validation window ships: the prior, the best single feature, a linear blend, trees, or linear and "
    "trees together. Where a model serves, the new one is judged against it on choices that neither learnt from, and "
    "one that is worse beyond doubt isn't activated: palate models activate does it all the same.": (
        "验证窗口上最好的会上线：先验、最佳单一特征、线性混合、树模型，或线性加树模型。若已有模型在服务，新模型会在两者都没有学过的"
        "选择上与它比较，确实更差的不会启用；仍要启用可用 palate models activate。"
    ),
    "The cheap tier does a fraction of the work, and gives up some quality for it.": (
        "cheap 档只做一小部分工作，为此放弃少许质量。"
    ),
    "How much is done; default: train.tier, which is full.": "做多少：full 或 cheap；默认取 train.tier，即 full。",
    "Serve the new model once it has won its validation.": "新模型在验证中胜出后就启用。",
    "Ranking artefacts: list, activate, roll back.": "排序模型：列出、启用、回滚。",
    "List the models of a directory, the active one marked.": "列出目录中的模型，标出启用的那个。",
    "Serve this model from the next request on.": "从下一个请求起使用这个模型。",
    "A version, as `palate models list` shows it.": "版本，如 `palate models list` 所示。",
    "Serve the model that was active before.": "改回之前启用的模型。",
    # tune
    "Search for training settings that rank better on the validation window; nothing changes without --write.": (
        "在验证窗口上搜索排序更好的训练设置；不加 --write 就什么也不改。"
    ),
    "One half of that window chooses, the other says what was gained. Stopped at any moment, the next run goes on.": (
        "窗口的一半用来选择，另一半说明增益。随时可以中断，下次运行会接着做。"
    ),
    "How many in all, those of an earlier run counted.": "一共多少次试验，包括上次运行的。",
    "After which no further trial begins.": "超过这些分钟后不再开始新的试验。",
    "Also settings for which the history is replayed again: slower.": "也搜索需要重新重放历史的设置：更慢。",
    "Of the trials.": "试验的随机种子。",
    "Put what was found into palate.toml.": "把找到的设置写入 palate.toml。",
    # serve
    "Serve a directory over HTTP, with the dashboard at /; a new directory is made where there is none.": (
        "通过 HTTP 提供一个目录，仪表盘在 /；目录不存在时会新建。"
    ),
    "Without API keys only this machine is answered. Ctrl-C or SIGTERM stops it in good order.": (
        "没有 API 密钥时只应答本机。按 Ctrl-C 或发送 SIGTERM 可有序停止。"
    ),
    "Address to listen on; default 127.0.0.1.": "监听的地址；默认 127.0.0.1。",
    "Default 8787; 0: any free one.": "默认 8787；0：任意空闲端口。",
    "Processes that answer; default 1.": "应答请求的进程数；默认 1。",
    "Make an API key, show it once, and stop.": "生成一个 API 密钥，显示一次，然后结束。",
    # rank, recommend, explain
    "Put candidates of yours into the order for one person.": "把你给出的候选排成适合某一个人的顺序。",
    "The candidates.": "候选物品。",
    "For whom.": "为谁排序。",
    "The session; enough for an anonymous visitor.": "会话；匿名访客只需给出会话。",
    "How many to return; all when left out.": "返回多少个；省略则全部返回。",
    "Words to match, in any language.": "要匹配的词，任何语言都可以。",
    "A context field, such as device=phone.": "一个上下文字段，例如 device=phone。",
    'Such as \'{"price": {"lte": 20}}\'.': '例如 \'{"price": {"lte": 20}}\'。',
    "An item to leave out.": "要排除的物品。",
    "Items that the user knows already.": "用户已经接触过的物品如何处理。",
    "How the order is chosen.": "如何由得分得到顺序。",
    "Give every item's contributions.": "给出每个物品的各项贡献。",
    "Retrieve from the whole catalogue and rank for one person.": "从整个目录召回，并为某一个人排序。",
    "Say in words what you want: it becomes wishes that the very next ranking obeys.": (
        "用话说出你想要什么：它会变成要求，紧接着的排序就照办。"
    ),
    "A refused line of the input has an error in its answer's place, and the others are answered; exit code 2.": (
        "输入中被拒绝的行，在其答复的位置给出错误，其余各行照常答复；退出码为 2。"
    ),
    "For whom; else --session, else the session `terminal`.": "为谁；省略时用 --session，再省略时用会话 terminal。",
    "What to say; left out, every line of the input is a turn.": "要说的话；省略时，输入的每一行是一轮。",
    "For whom; left out with --session.": "为谁推荐；用 --session 时省略。",
    "How many to return.": "返回多少个。",
    "Say why an item stood where it stood: the base and the contributions add up to its score, exactly.": (
        "说明一个物品为什么排在那里：基准与各项贡献之和恰好等于得分。"
    ),
    "The id of a ranking, which every answer carries.": "排序的编号，每次回答都带有。",
    "An item of that ranking.": "该排序中的一个物品。",
    # evaluate
    "Judge Palate and the baselines: rank the full catalogue before every test event, then learn it.": (
        "评测 Palate 与各基线：在每个测试事件之前为整个目录排序，然后再学习该事件。"
    ),
    "Split by time; baselines random, popular, recent popular, item-kNN and EASE; 95 % intervals. "
    "Writes JSON and HTML.": (
        "按时间划分；基线为随机、热门、近期热门、item-kNN 和 EASE；给出 95% 区间。写出 JSON 和 HTML。"
    ),
    "Leave out what the user had before, or rank all.": "排除用户接触过的物品，或全部排序。",
    "Judge the prediction of ratings instead, in five folds.": "改为用五折评测评分预测。",
    "With --cold-start: a map that `palate models carry --out` made.": (
        "与 --cold-start 一起用：由 `palate models carry --out` 生成的映射。"
    ),
    "How many test events are scored.": "评测多少个测试事件。",
    "Draws the test events.": "抽取测试事件的随机种子。",
    "Only these systems; all when left out.": "只评测这些系统；省略则全部评测。",
    "Also keep the reports in this engine.": "报告也保存到这个引擎的目录。",
    "Where the reports go; default: evaluation.": "报告写到哪里；默认 evaluation。",
    # replay
    "Judge another configuration on the rankings in the log: what it would have earned, with intervals.": (
        "在日志中的排序上评判另一份配置：它本会带来多少，并给出区间。"
    ),
    "Policies, models and features switched off are judged; candidates and features are those of the log. "
    "Where the log can't tell, it says so, and what to change.": (
        "可评判策略、模型和关闭的特征；候选与特征取自日志。日志看不出结果时会直说，并说明该改什么。"
    ),
    "Works while a service holds the directory. Writes JSON and HTML.": "服务占用目录时也可运行。写出 JSON 和 HTML。",
    "A palate.toml to judge; default: the directory's own.": "要评判的 palate.toml；默认用目录自己的。",
    "The model to judge, or `prior`; default: the active one.": "要评判的模型，或 `prior`；默认为启用的模型。",
    "What counts: a type of interaction, or `weights`.": "计入什么：一种交互类型，或 `weights`（各类型按权重）。",
    "Minutes after a ranking in which it counts.": "排序之后多少分钟内的交互计入。",
    "What of a ranking is judged; default: what the log allows.": "评判排序的哪一部分；默认取日志所允许的。",
    "How many places are judged.": "评判前多少个位置。",
    "Cut weights above this; default: the root of the rankings.": "截断高于此值的权重；默认为排序数的平方根。",
    "Rankings' worth of evidence below which it can't tell.": "证据少于相当于这么多次排序时，判为看不出。",
    "Where the reports go besides off-policy in --dir.": "除 --dir 中的 off-policy 外，报告还写到哪里。",
    # doctor
    "Check this installation and an engine's directory, and say how to mend what is wrong.": (
        "检查本次安装和引擎的目录，并说明如何修复问题。"
    ),
    "Reads only, also while a service holds the directory. The exit code is 1 when something is broken.": (
        "只读取，服务占用目录时也可运行。有东西损坏时退出码为 1。"
    ),
    # bench
    "Measure real servers over loopback: CPU a request from the process tree, latency from the time it was due.": (
        "通过本机回环测量真实的服务：CPU 取自进程树，延迟从请求应发出的时刻算起。"
    ),
    "The sections are rank, mixed, events, workers, recommend, trees, memory, rebuild, start, train and scale.": (
        "各部分为 rank、mixed、events、workers、recommend、trees、memory、rebuild、start、train 和 scale。"
    ),
    "The figures of one run compare; those of two machines, or of a busy one, don't.": (
        "同一次运行的数字可以比较；不同机器或繁忙机器上的不可以。"
    ),
    "These sections; all when left out.": "只测量这些部分；省略则全部测量。",
    "Small and short, some minutes: to see that it works, not how fast.": "规模小、时间短：只看能否运行，不看快慢。",
    "Of the catalogue that is made up; default 100000.": "虚构目录的物品数；默认 100000。",
    "Of the people that are made up; default 10000.": "虚构的用户数；默认 10000。",
    "Requests of each kind; default 9000.": "每类请求的数量；默认 9000。",
    "Rankings a second when latency is measured; default 1000.": "测量延迟时每秒的排序请求数；默认 1000。",
    "Keep the made-up worlds there, for the next run to use.": "把虚构的数据留在该目录，供下次运行使用。",
    "Also draw the figures into this HTML file.": "同时把结果画进这个 HTML 文件。",
    # language
    "Language models: list, fetch, measure, recommend, summarise, teach, report.": (
        "语言模型：列出、获取、测量、推荐、概括、教学、报告。"
    ),
    "With --people it says what each person likes, in their language, the most active first; the text is kept like any "
    "other field of theirs, and is gone when they are. A service may be running.": (
        "加上 --people 则用各人的语言说明其喜好，从最活跃的开始；文字像其他字段一样保存，"
        "随此人的数据一同删除。服务可以正在运行。"
    ),
    "Of people instead: what each likes, for their own profile.": "改为概括用户：各人喜欢什么，显示在其画像中。",
    "Interactions that somebody must have.": "用户至少要有多少次互动。",
    "Let what people had go to a server that isn't this machine.": "允许把人们的历史发送到本机以外的服务器。",
    "Show what each language part gains beside what it costs, from the logs, where chance decided; and where that "
    "can't be told, what would tell it.": (
        "根据随机决定过的记录，说明语言各部分的收益与成本；无法判断时，说明怎样才能判断。"
    ),
    "Have the configured generator say of every item in a sentence what it is; a stop costs nothing that was said.": (
        "让所配置的生成模型用一句话说明每个物品是什么；中途停止不会丢失已得到的回答。"
    ),
    "Have the configured generator order logged lists as their people should have seen them, for training to learn "
    "from.": "让所配置的生成模型按用户应看到的顺序排列已记录的列表，供训练学习。",
    "To use at most, in and out; 0: as many as it takes, or the day has.": (
        "最多使用的词元（输入加输出）；0 表示不限，或以每日额度为限。"
    ),
    "To wait for one answer.": "等待一个回答的秒数。",
    "Of what isn't known yet, so many; 0: all.": "在尚未回答的之中取这么多；0 表示全部。",
    "List the models that Palate knows, with licence, size, width and languages, and which of them are here.": (
        "列出 Palate 认识的模型：许可、大小、维度、语言，以及哪些已在本机。"
    ),
    "Get the files of models into the cache: pinned versions, checked by SHA-256; nothing is installed or run.": (
        "把模型文件取到缓存：版本固定，以 SHA-256 校验；不安装也不运行任何东西。"
    ),
    "As `palate language list` names them, or hf:NAME.": "`palate language list` 中的名称，或 hf:NAME。",
    "Measure encoders on this machine and on a directory's own events: texts a second, milliseconds for one, memory, "
    "and whether what people took before points to what they took next.": (
        "在本机并用目录自己的事件测量编码器：每秒文本数、单条毫秒、内存，以及人们先前的选择能否指向之后的选择。"
    ),
    'A generator is measured where it is named, "configured" for the one in palate.toml: tokens a second, waiting, '
    "JSON of the schema, a few utterances, and the order of ten items of which somebody took one.": (
        "点名的生成模型也会测量（configured 指 palate.toml 中的那个）：每秒词元、等待时间、合规的 JSON、几句话，"
        "以及十个物品的排序（其中有人选过一个）。"
    ),
    "A generator that is on this machine is measured too; a server elsewhere only by palate language measure "
    "configured.": "本机上的生成模型也会测量；别处的服务器只在运行 palate language measure configured 时测量。",
    "By default all that are installed.": "默认为所有已安装的。",
    "For the texts of one model; slow ones are asked less.": "每个模型用于编码文本的秒数；慢的模型少问一些。",
    "Recommend one model for each task, by what was measured here, with the reasons. Nothing is changed.": (
        "按本机测得的结果为每项任务推荐一个模型，并说明理由。不作任何更改。"
    ),
    "What it is for; may be repeated; all by default.": "用途；可重复给出；默认全部。",
    "In which the whole catalogue must be encoded.": "须在多少小时内编码完整个目录。",
    "That a query may take.": "一次查询可用的毫秒数。",
    "MB that encoding may take.": "编码可用的内存（MB）。",
    "Measure again what was measured before.": "重新测量已测过的。",
    **EXPERIMENT_HELP,
    **WHY_HELP,
    **ONLINE_HELP,
}
