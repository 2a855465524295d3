"""Titles, descriptions and tags in English and Chinese: of a world's items, by topic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from palate.types import FieldValue


@dataclass(frozen=True)
class Topic:
    """A topic's name and its words, in English and Chinese."""

    name: tuple[str, str]
    english: tuple[str, ...]
    chinese: tuple[str, ...]


def _topic(name: str, chinese_name: str, english: str, chinese: str) -> Topic:
    return Topic((name, chinese_name), tuple(english.split()), tuple(chinese.split()))


TOPICS: tuple[Topic, ...] = (
    _topic(
        "space", "太空",
        "rocket orbit galaxy astronaut planet comet telescope nebula moon launch satellite asteroid",
        "火箭 轨道 银河 宇航员 行星 彗星 望远镜 星云 月球 发射 卫星 小行星",
    ),
    _topic(
        "cooking", "烹饪",
        "recipe kitchen noodle baking soup chef dumpling spice oven stew breakfast sauce",
        "菜谱 厨房 面条 烘焙 汤 厨师 饺子 香料 烤箱 炖菜 早餐 酱汁",
    ),
    _topic(
        "football", "足球",
        "goal league striker penalty stadium midfielder derby goalkeeper referee transfer cup coach",
        "进球 联赛 前锋 点球 球场 中场 德比 门将 裁判 转会 杯赛 教练",
    ),
    _topic(
        "mystery", "悬疑",
        "detective murder clue suspect alibi inspector crime witness poison evidence confession corpse",
        "侦探 谋杀 线索 嫌疑人 推理 警探 犯罪 证人 毒药 证据 供词 密室",
    ),
    _topic(
        "garden", "园艺",
        "flower tulip soil seed hedge rose compost pruning greenhouse herb blossom orchard",
        "花园 郁金香 土壤 种子 篱笆 玫瑰 堆肥 修剪 温室 香草 盆栽 果园",
    ),
    _topic(
        "travel", "旅行",
        "island train hostel itinerary passport backpack ferry sunset coast museum border souvenir",
        "海岛 火车 旅馆 行程 护照 背包 渡轮 日落 海岸 博物馆 边境 纪念品",
    ),
    _topic(
        "music", "音乐",
        "guitar melody concert album drummer chorus violin rhythm orchestra singer jazz vinyl",
        "吉他 旋律 演唱会 专辑 鼓手 合唱 小提琴 节奏 乐团 歌手 爵士 唱片",
    ),
    _topic(
        "finance", "理财",
        "stock bond dividend portfolio inflation mortgage savings broker fund interest budget pension",
        "股票 债券 分红 投资组合 通胀 房贷 储蓄 券商 基金 利率 预算 养老金",
    ),
    _topic(
        "fitness", "健身",
        "marathon yoga dumbbell stretching treadmill sprint muscle trainer squat cardio plank endurance",
        "马拉松 瑜伽 哑铃 拉伸 跑步机 冲刺 肌肉 私教 深蹲 有氧 平板支撑 耐力",
    ),
    _topic(
        "computers", "电脑",
        "processor laptop keyboard compiler database network graphics firmware server encryption browser terminal",
        "处理器 笔记本 键盘 编译器 数据库 网络 显卡 固件 服务器 加密 浏览器 终端",
    ),
    _topic(
        "animals", "动物",
        "elephant kitten penguin whale puppy falcon tiger beehive horse otter parrot turtle",
        "大象 小猫 企鹅 鲸鱼 小狗 猎鹰 老虎 蜂巢 马匹 水獭 鹦鹉 海龟",
    ),
    _topic(
        "history", "历史",
        "empire dynasty castle archive battle emperor treaty ruins medieval chronicle manuscript temple",
        "帝国 王朝 城堡 档案 战役 皇帝 条约 遗址 中世纪 编年史 手稿 寺庙",
    ),
)  # fmt: skip

_OPENINGS = (
    ("The {0} and the {1}", "A story of {0} and {1}", "{0}, {1} and more", "Everything about {0} and {1}"),
    ("{0}与{1}", "关于{0}和{1}的故事", "{0}、{1}及其他", "一次讲清{0}与{1}"),
)
_SENTENCES = (
    (
        "What a {0} has to do with {1}, told for beginners.",
        "From {0} to {1}, with a word about {2}.",
        "Why everybody talks of {0} this year, and what {1} changes.",
        "Good to know for those who like {0}, {1} or {2}.",
    ),
    (
        "为初学者讲解{0}与{1}的关系。",
        "从{0}到{1}，顺便谈谈{2}。",
        "为什么今年人人都在谈论{0}，{1}又改变了什么。",
        "献给喜欢{0}、{1}或{2}的人。",
    ),
)


def fields_of(
    main: int, second: int, chinese: bool, tagged: bool, number: int, rng: np.random.Generator
) -> dict[str, FieldValue]:
    """The fields of an item: title, description, language, and tags where it has some.

    main, second: its topics. Two thirds of the words are of the first. number: at the end of the title, so that no two
    are equal.
    """
    side = int(chinese)
    words = [TOPICS[topic].chinese if chinese else TOPICS[topic].english for topic in (main, second)]
    order: list[list[int]] = [rng.permutation(len(some)).tolist() for some in words]
    first = [words[0][at] for at in order[0][:4]]
    other = [words[1][at] for at in order[1][:2]]
    opening = _OPENINGS[side][int(rng.integers(len(_OPENINGS[side])))]
    title = opening.format(first[0], first[1] if rng.random() < 0.7 else other[0])
    sentence = _SENTENCES[side][int(rng.integers(len(_SENTENCES[side])))]
    found: dict[str, FieldValue] = {
        "title": f"{title[:1].upper()}{title[1:]} {number}",
        "description": sentence.format(first[2], other[1], first[3]),
        "language": "zh" if chinese else "en",
    }
    if tagged:
        found["tags"] = [TOPICS[main].name[side]]
    return found
