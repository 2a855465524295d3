"""Chinese for what is said of simulations: help by paragraph, troubles by template."""

from __future__ import annotations

SIMULATE_HELP: dict[str, str] = {
    "Play a simulated platform whose truth is known, and say what the ranking loses against the best possible.": (
        "运行一个答案已知的模拟平台，说明排序与最佳可能相差多少。"
    ),
    "People with drifting tastes look at places from the top and click on what attracts them; on one day tastes "
    "change at once; new items arrive. A service of its own is played, or the one at --url, over HTTP. Writes JSON and "
    "HTML.": (
        "口味缓慢变化的用户自上而下浏览，点击吸引他们的物品；某一天口味突变；新物品不断出现。"
        "通过 HTTP 运行自带的服务，或 --url 处的服务。写出 JSON 和 HTML。"
    ),
    "A running service with an empty directory; default: one of its own.": "目录为空的运行中服务；默认自带一个。",
    "A palate.toml for the service of its own.": "自带服务所用的 palate.toml。",
    "Named in every request; default: the service's setting.": "写入每个请求；默认为服务的设置。",
    "Rankings in all.": "排序总次数。",
    "Simulated people.": "模拟用户数。",
    "Items at the beginning.": "起始的物品数。",
    "How long the simulation lasts.": "模拟持续的天数。",
    "Of the world: equal seeds make equal worlds.": "世界的种子：相同的种子得到相同的世界。",
    "Any other number of the world, such as shift_day=10 or repeat=0.3; again for more.": (
        "世界的其他数值，例如 shift_day=10 或 repeat=0.3；可多次给出。"
    ),
    "Keep the played directory there; it must not exist.": "把模拟的目录保存在那里；该处不能已存在。",
    "Where the reports go; default: simulation.": "报告写到哪里；默认 simulation。",
}

SIMULATE_TROUBLE: dict[str, str] = {
    "{name} of the world is {value}; it must lie between {low} and {high}.": (
        "世界的 {name} 是 {value}；它必须在 {low} 与 {high} 之间。"
    ),
    "candidates of the world is {count}, fewer than the {places} places: give more, or 0.": (
        "世界的 candidates 是 {count}，少于 {places} 个位置：请给得更多，或者给 0。"
    ),
    "items of the world is {count}; every ranking needs {least}.": "世界的 items 是 {count}；每次排序需要 {least} 个。",
    "prefix of the world is longer than 100 bytes.": "世界的 prefix 超过 100 字节。",
    "--set {text} is not of the form NAME=NUMBER.": "--set {text} 不是“名称=数字”的形式。",
    "--set {name} is no number of the world; there are {names}.": "世界没有 {name} 这个数值；可用的有 {names}。",
    "--set {name} is {value}; it wants a whole number.": "--set {name} 是 {value}；它应为整数。",
    "--config {path} can't be read: name a palate.toml.": "无法读取 --config {path}：请给出一个 palate.toml。",
    "--keep {path} exists: name a new directory.": "--keep {path} 已存在：请给出一个新目录。",
    "--config and --keep are of the service of its own: leave --url out.": (
        "--config 和 --keep 用于自带的服务：请去掉 --url。"
    ),
    "The service at {url} holds {items} items and {interactions} interactions, and made-up ones would be mixed in: "
    "play against one with an empty directory, or leave --url out.": (
        "{url} 处的服务已有 {items} 个物品和 {interactions} 次互动，虚构的数据会混入其中："
        "请对目录为空的服务运行，或去掉 --url。"
    ),
}
