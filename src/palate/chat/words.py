"""The vocabulary of a conversation, English and Chinese: what steers, in no field of trade in particular.

Phrases are lists of tokens (``tokens``): English words and single Han characters. Where two match, the longer one wins.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

Phrase = tuple[str, ...]
HAN = "\u3400-\u9fff\u3005\u3007"
TOKEN = re.compile(rf"[{HAN}]|[^\W_{HAN}]+(?:'[^\W_{HAN}]+)?|[^\w\s]|_")


def normal(text: str) -> str:
    """NFKC, lower case, straight quotation marks, single spaces."""
    text = unicodedata.normalize("NFKC", text).lower()
    return " ".join(text.translate(str.maketrans("’‘“”「」『』", '\'\'""""""')).split())


def tokens(text: str) -> Phrase:
    """The tokens of a normal text, punctuation left out."""
    return tuple(found for found in TOKEN.findall(text) if found[0].isalnum())


def plain(text: str) -> str:
    """Without accents: "amélie" is typed "amelie"."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


CUES: Final[dict[str, str]] = {
    # Polarity.
    "neg": "no|not|none|nothing|without|never|don't|dont|do not|doesn't|isn't|aren't|don't want|do not want|don't show|"
    "except|excluding|exclude|skip|avoid|minus|other than|apart from|anything but|hate|can't stand|cannot stand|dislike|"
    "don't like|do not like|not a fan of|tired of|sick of|fed up with|enough of|no more|stop showing|leave out|get rid of|"
    "rather not|nor|neither|"
    "不要|不想|不想看|不想要|不看|别|别给|没有|没|不含|除了|除去|去掉|排除|拒绝|讨厌|不喜欢|不爱|不爱看|非|不是|不带|"
    "无|少了|受不了|烦|不推|避开|除|别再|不需要|不能",
    "less": "less|fewer|not so much|not so many|not too much|not too many|not much|not many|cut down on|go easy on|"
    "less of|少点|少些|少一点|少一些|少来|少来点|少来些|少推|少看|不太喜欢|不太想|不怎么喜欢|不太爱|少推荐",
    "nottoo": "not too|not very|not that|nothing too|不太|不要太|别太|不那么|不怎么|不能太",
    "more": "more|more of|prefer|preferably|i like|i really like|i love|i enjoy|i adore|love|enjoy|fond of|fan of|"
    "i'm into|i am into|into|ideally|rather|keen on|i liked|i loved|i enjoyed|"
    "多|多点|多些|多一点|多一些|多来|多来点|多来些|多推|多推荐|更多|喜欢|爱看|偏爱|最好|最好是|我爱|我喜欢|更想看|钟爱",
    "only": "only|just|must be|has to be|have to be|nothing but|strictly|只|只要|只看|仅|必须|必须是|一定要|就要|只想看",
    "want": "i want|i'd like|i would like|want|show me|show|give me|find|find me|find us|looking for|look for|search for|"
    "recommend|suggest|in the mood for|mood for|feel like|i feel like|how about|what about|let's watch|let's see|got any|"
    "do you have|have you got|any|anything|something|some|i need|need|get me|could you find|can you find|watch|how about some|"
    "想看|想要|想|要|来|来点|来部|来个|来些|给我|找|找点|找部|推荐|有没有|有|看|看点|看看|换|换成|换点|换个|求|帮我找|找找|"
    "我要|买|想买|需要",
    "like": "like|similar to|similar|along the lines of|in the style of|in the vein of|reminiscent of|such as|resembling|"
    "close to|同类|像|类似|类似于|好像|如同",
    "alike": "类似|一样|那样|差不多|相似|这样|那种|似的",
    "but": "but|however|though|although|yet|但|但是|不过|可是|然而|只是",
    "and": "and|or|and also|as well as|plus|also|&|和|或|或者|以及|还有|与|跟|及|也|且|而且|又",
    # Comparison: before a number, or with another item.
    "lt": "under|below|less than|fewer than|lower than|smaller than|<|低于|少于|小于|不到|不满|不足",
    "lte": "within|at most|no more than|not more than|up to|no longer than|not longer than|maximum|max|no later than|"
    "not over|not above|not exceeding|不超过|不超出|不多于|不高于|不要超过|别超过|最多|至多|不大于|不长于|不晚于|<=|≤",
    "gt": "over|above|more than|greater than|higher than|exceeding|超过|高于|大于|多于|>",
    "gte": "at least|no less than|not less than|minimum|min|no earlier than|no shorter than|至少|起码|不少于|不低于|不小于|"
    "最少|不早于|>=|≥",
    "before": "before|prior to|earlier than|until|pre|早于",
    "after": "after|later than|post|晚于",
    "since": "since|as of|starting from|starting|自|自从",
    "from": "from|从",
    "by": "by|由",
    "between": "between|介于|在",
    "to": "to|through|till|到|至|-|–|—|~|and|和",
    "post_lte": "or less|or under|or below|or fewer|or shorter|or cheaper|or earlier|or older|tops|max|maximum|at most|"
    "以内|之内|以下|及以下|内|封顶",
    "post_gte": "or more|or over|or above|or longer|or later|or newer|and up|and above|onwards|onward|and later|and newer|"
    "minimum|at least|plus|以上|及以上|起|往上|以后|之后|后|往后|至今|以来|开始",
    "post_lt": "以前|之前|前|往前",
    "between_end": "之间|间|左右",
    "than": "than|比|相比|比起",
    # The talk itself.
    "undo": "undo|undo that|take that back|take it back|forget that|forget it|forget what i said|scratch that|never mind|"
    "nevermind|cancel that|revert|go back|that was wrong|撤销|撤回|算了|收回|刚才的不算|刚才那个不算|刚才那句不算|"
    "取消刚才|取消上一条|上一条不算|当我没说|还原|恢复",
    "reset": "start over|start again|reset|clear everything|clear all|forget everything|remove everything|from scratch|"
    "clear my filters|remove all filters|clear all filters|drop everything|重新开始|重来|从头来|从头开始|清空|全部清空|"
    "全部清除|清除|清除所有|清除全部|全部取消|取消所有|重置|忘掉一切|忘掉所有|都不要了",
    "fine": "is fine|are fine|is ok|are ok|is okay|are okay|is alright|are alright|is fine after all|fine after all|"
    "ok after all|okay after all|are ok after all|is ok after all|is allowed|are allowed|is welcome|fine|ok|okay|alright|"
    "doesn't matter|does not matter|don't matter|don't care about|do not care about|don't mind|no matter|whatever|"
    "也可以|也行|也好|可以|行|没关系|无所谓|不限|不介意|不在乎|都行|都可以|随便|没问题|还行",
    "drop": "forget|forget about|cancel|lift|drop|remove the|取消|忘掉|忘了|放宽|解除",
    "limit": "limit|limits|restriction|restrictions|filter|filters|rule|condition|constraint|限制|条件|要求|过滤",
    "show": "what do you know|what do you know about me|what are my filters|my filters|my wishes|what did i say|"
    "what have i asked for|我的条件|有哪些条件|有什么条件|我说过什么|我的要求|我的偏好|现在的条件",
    "help": "help|what can you do|how does this work|how do i use this|你会什么|你能做什么|怎么用|帮助|能干什么",
    "hello": "hi|hello|hey|hello there|hi there|good morning|good evening|good afternoon|how are you|how's it going|"
    "what's up|你好|您好|嗨|哈喽|早上好|早安|晚上好|下午好|你好吗|最近怎么样|在吗|喂",
    "thanks": "thanks|thank you|thx|cheers|great|nice|cool|awesome|perfect|good job|well done|谢谢|多谢|感谢|太好了|不错|很好|"
    "棒|真棒|辛苦了|好的|好吧|嗯|哈哈",
    "who": "who are you|are you a robot|are you human|are you real|what are you|what's your name|你是谁|你叫什么|你是机器人吗",
    "bye": "bye|goodbye|see you|good night|再见|拜拜|晚安|回头见",
    "hide": "hide|never show me|don't show me|stop recommending|not interested in|别再推|别再给我推|不感兴趣|隐藏",
    "seen": "i've seen|i have seen|already seen|already watched|i've watched|i saw|i watched|看过|看过了|已经看过|我看过",
    "about": "about|featuring|involving|关于|有关|讲|讲述",
    "how": "how long is|what year is|which year is|when was|when did|who directed|who made|how much is|how old is|"
    "what genre is|what language is|多长|哪年|哪一年|谁导演|多少钱|什么类型|什么语言|几分",
    "stop": "the|a|an|of|in|on|for|with|is|are|am|be|it|its|that|this|these|those|there|please|pls|really|very|so|quite|"
    "me|my|i|i'm|you|your|we|us|one|ones|thing|things|stuff|kind|kinds|type|sort|bit|little|lot|lots|want|would|could|can|"
    "may|should|will|do|does|did|movie|movies|film|films|product|products|item|items|article|articles|flick|flicks|show|shows|"
    "made|released|set|shot|at|as|to|than|then|now|today|tonight|actually|maybe|perhaps|after all|too|"
    "again|everything|all|good|ok|after|else|has|have|had|been|was|were|which|who|what|some|any|get|got|let's|time|"
    "based|well|instead|even|still|also|the ones|if possible|in stock|much|many|priced|cost|costing|"
    "的|片|电影|影片|类|类的|类型的|款|种|些|点|点儿|一点|一些|一个|一部|部|个|吧|吗|呢|啊|了|我|你|您|给|请|拍|拍的|那|这|那些|"
    "这些|的话|那种|儿|得|地|之|就|都|很|太|会|能|把|被|让|什么|东西|商品|产品|文章|推|是|在|于|对|以|里|上|下|其实|还|再|"
    "有关|起来|一下|麻烦|题材|风格|一样|那样|用品|年|老片|可以|行|要",
}
"""Kind → phrases, separated by ``|``. What stands under ``stop`` carries nothing by itself."""

ROLES: Final[dict[str, str]] = {
    "duration": "duration|runtime|running time|run time|length|minutes|playtime|时长|片长|长度|时间长度",
    "year": "year|release year|released|release|release date|era|decade|year of release|date|年份|年代|上映|出版年|日期",
    "price": "price|cost|priced|list price|价格|价钱|售价|价位|单价",
    "budget": "budget|预算",
    "rating": "rating|rated|score|stars|vote average|review score|评分|打分|得分|评价",
    "pages": "pages|page count|页数",
    "weight": "weight|weighing|heaviness|weight g|weight kg|重量|重",
    "size": "size|尺寸|尺码|大小",
    "language": "language|spoken language|original language|语言|语种",
    "country": "country|made in|origin|国家|产地|地区",
    "color": "color|colour|颜色|色",
    "brand": "brand|manufacturer|品牌|牌子|厂家",
    "director": "director|directed by|导演|执导",
    "actor": "actor|cast|starring|top actor|stars|star|actress|主演|演员|出演",
    "author": "author|written by|writer|作者|作家|编剧",
    "artist": "artist|singer|band|歌手|艺人|乐队",
    "genre": "genre|category|type|kind|class|section|department|类型|类别|分类|品类",
    "tag": "tag|keyword|topic|标签|主题|关键词",
    "material": "material|fabric|材质|材料|面料",
}
"""What a field may be, by the names that it has in catalogues and in talk."""

MAKERS: Final = ("director", "author", "artist", "brand", "actor")
"""What ``by somebody`` may mean."""

ADJECTIVES: Final[dict[str, tuple[str, int]]] = {
    **dict.fromkeys("short|shorter|brief|quick|短|短的|短一点|短些|短点|更短|简短|短一些|短点的".split("|"), ("duration", -1)),
    **dict.fromkeys("long|longer|lengthy|长|长的|长一点|长些|更长|长一些|长点".split("|"), ("duration", 1)),
    **dict.fromkeys("cheap|cheaper|inexpensive|affordable|budget friendly|便宜|便宜点|便宜一点|便宜些|更便宜|便宜一些|平价".split("|"), ("price", -1)),
    **dict.fromkeys("expensive|pricey|pricier|dearer|costly|贵|贵的|更贵|贵一点|昂贵".split("|"), ("price", 1)),
    **dict.fromkeys("new|newer|recent|more recent|latest|modern|新|新的|新片|更新|新一点|最新|近期|最近|新些|较新".split("|"), ("year", 1)),
    **dict.fromkeys("old|older|classic|vintage|earlier|老|老的|老片|更老|老一点|经典|旧|早|更早|早一点".split("|"), ("year", -1)),
    **dict.fromkeys("highly rated|better rated|top rated|well rated|higher rated|高分|评分高|评分更高|高评分|口碑好".split("|"), ("rating", 1)),
    **dict.fromkeys("heavy|heavier|更重|重的|重一点".split("|"), ("weight", 1)),
    **dict.fromkeys("light weight|lighter|lightweight|更轻|轻的|轻一点|轻".split("|"), ("weight", -1)),
}  # fmt: skip
"""Phrase → role and direction."""

UNITS: Final[dict[str, tuple[str, float]]] = {
    **dict.fromkeys("minute minutes min mins 分钟".split(), ("duration", 1.0)),
    **dict.fromkeys("hour hours hr hrs h 小时 个小时 钟头 个钟头".split(), ("duration", 60.0)),
    **dict.fromkeys("second seconds sec secs 秒 秒钟".split(), ("duration", 1 / 60)),
    **dict.fromkeys("$ € £ ¥ dollar dollars bucks buck euro euros pound pounds yuan rmb usd eur gbp 元 块 块钱 美元 欧元 "
                    "英镑 人民币 美金 元钱".split(), ("price", 1.0)),
    **dict.fromkeys("page pages 页".split(), ("pages", 1.0)),
    **dict.fromkeys("star stars 星 颗星".split(), ("rating", 1.0)),
    **dict.fromkeys("g gram grams 克".split(), ("weight", 1.0)),
    **dict.fromkeys("kg kilo kilos kilogram kilograms 公斤 千克".split(), ("weight", 1000.0)),
    "斤": ("weight", 500.0),
    "分": ("points", 1.0),
}  # fmt: skip
"""Unit → role, and how much of the role's own unit (minutes, grams, whatever the price is in) it is."""


def _table() -> dict[Phrase, str]:
    found: dict[Phrase, str] = {}
    for kind, phrases in CUES.items():
        for phrase in phrases.split("|"):
            found.setdefault(tokens(phrase) or (phrase,), kind)
    return found


CUE_OF: Final = _table()
ALSO: Final[dict[Phrase, frozenset[str]]] = {}
"""Every kind that a phrase has, where it has several."""
for _kind, _phrases in CUES.items():
    for _phrase in _phrases.split("|"):
        _key = tokens(_phrase) or (_phrase,)
        ALSO[_key] = ALSO.get(_key, frozenset()) | {_kind}
ROLE_OF: Final = {tokens(p): role for role, ps in ROLES.items() for p in ps.split("|")}
ADJECTIVE_OF: Final = {tokens(p): found for p, found in ADJECTIVES.items()}
LONGEST: Final = 8

_IRREGULAR = {"movies": "movie", "series": "series", "news": "news", "comedies": "comedy"}


def singular(word: str) -> str:
    """English plurals to the singular, roughly; other words as they are."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.isascii() or len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word[:-2] if word.endswith("'s") else word
    if word.endswith("'s"):
        return word[:-2]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("ches", "shes", "sses", "xes")) else word[:-1]
