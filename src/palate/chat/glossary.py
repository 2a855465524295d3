"""A small bilingual glossary of general words, so that a catalogue in one language can be asked for in another.

Each line is one meaning; a word counts only where the catalogue has a value of the same line. Lines before a colon name
the role that the words can only have, so that a catalogue without such a field can say so.
"""

from __future__ import annotations

from palate.chat.words import Phrase, normal, tokens

_LINES = """
genre: horror|scary|scary movie|creepy|恐怖|惊悚恐怖|吓人
genre: science fiction|sci-fi|scifi|sf|sci fi|科幻
genre: comedy|funny|comedic|humorous|humor|喜剧|搞笑
genre: drama|dramatic|剧情|剧情片
genre: romance|romantic|love story|爱情|浪漫|言情
genre: action|动作
genre: adventure|冒险|探险
genre: thriller|thrilling|suspense|惊悚|悬疑惊悚
genre: mystery|whodunit|悬疑|推理|神秘
genre: animation|animated|cartoon|anime|动画|动漫|卡通
genre: documentary|纪录|纪录片|纪实
genre: war|战争
genre: western|cowboy|西部|西部片|牛仔
genre: musical|音乐剧|歌舞|歌舞片
genre: music|音乐
genre: crime|gangster|犯罪|黑帮
genre: fantasy|奇幻|魔幻
genre: family|children|children's|kids|家庭|儿童|亲子
genre: film-noir|film noir|noir|黑色电影
genre: history|historical|period|历史|古装
genre: biography|biopic|biographical|传记
genre: sport|sports|体育|运动
genre: politics|political|政治
genre: economy|business|finance|economics|财经|经济|商业
genre: technology|tech|科技|技术
genre: travel|旅游|旅行
genre: health|健康
genre: culture|arts|art|文化|艺术
genre: kitchen|厨房|厨具
genre: outdoor|outdoors|camping|户外|露营
genre: clothing|clothes|apparel|服装|衣服
genre: electronics|electronic|gadgets|电子|数码
genre: book|图书|书
genre: toy|玩具
genre: food|食品
genre: furniture|家具
language: english|en|eng|英语|英文
language: french|fr|fra|français|法语|法文
language: german|de|deutsch|ger|德语|德文
language: japanese|ja|jp|jpn|日语|日文
language: chinese|zh|mandarin|cn|cantonese|中文|汉语|华语|国语|普通话|粤语
language: korean|ko|kor|韩语|韩文
language: italian|it|ita|意大利语
language: spanish|es|spa|西班牙语
language: russian|ru|rus|俄语
language: portuguese|pt|por|葡萄牙语
language: hindi|hi|hin|印地语
language: swedish|sv|瑞典语
color: red|红|红色
color: blue|蓝|蓝色
color: green|绿|绿色
color: black|黑|黑色
color: white|白|白色
color: yellow|黄|黄色
color: grey|gray|灰|灰色
color: silver|银|银色
color: gold|golden|金色
color: orange|橙|橙色|橘色
color: purple|violet|紫|紫色
color: pink|粉|粉色|粉红
color: brown|棕|棕色|褐色
material: wool|woollen|woolen|羊毛
material: cotton|棉|纯棉
material: leather|皮|皮革|真皮
material: steel|钢|不锈钢
material: wood|wooden|木|木制
country: usa|us|america|american|united states|美国
country: uk|britain|british|united kingdom|英国
country: france|法国
country: japan|日本
country: china|中国
country: korea|south korea|韩国
country: germany|德国
country: italy|意大利
country: spain|西班牙
country: india|印度
: space|outer space|太空|宇宙
: time travel|穿越|时间旅行
: robot|robots|机器人
: ghost|ghosts|鬼|幽灵
: alien|aliens|extraterrestrial|外星人
: monster|monsters|怪物|怪兽
: friendship|友情|友谊
: magic|魔法
: revenge|复仇
: gore|gory|bloody|血腥
: dystopia|dystopian|反乌托邦
: twist ending|plot twist|反转|结局反转
: martial arts|kung fu|武打|功夫|武侠
: superhero|superheroes|超级英雄
: serial killer|连环杀手
: heist|抢劫
: dream|dreams|梦境|梦
: quirky|古怪
: dark|黑暗
: ocean|sea|海洋
: jazz|爵士
"""


def _read() -> tuple[dict[Phrase, int], list[tuple[str, tuple[Phrase, ...]]]]:
    group_of: dict[Phrase, int] = {}
    groups: list[tuple[str, tuple[Phrase, ...]]] = []
    for line in _LINES.strip().splitlines():
        role, _, words = line.partition(":")
        phrases = tuple(tokens(normal(word)) for word in words.strip().split("|"))
        for phrase in phrases:
            group_of.setdefault(phrase, len(groups))
        groups.append((role.strip(), phrases))
    return group_of, groups


GROUP_OF, GROUPS = _read()
