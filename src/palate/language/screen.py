"""What of a text a language model may read: names and short facts, never anything that reads like words to it.

A title is let through where it looks like a name: short, one clause, none of the signs of code, and hardly any of the
words with which somebody tells somebody else what to do with a list. What isn't let through is left out, never
rewritten: the item is then judged by the rest. The words are looked for after compatibility forms, look-alikes and
digits for letters are undone. It is one of several bounds (``language.rerank``); it holds no list of attacks.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

CELLS = 72
"""Of a name; a Chinese, Japanese or Korean character takes two."""
WORDS = 10
TAG_CELLS, TAG_WORDS = 32, 3

_STRONG = re.compile(
    r"\b(?:ignor|disregard|forget|overrid|instruc|prompt|system|assistant|develop|ai\b|llm|gpt|chatbot|rank|sort|json|"
    r"output|answer|respon|repl[iy]|decode|obey|candidat|customer|shopper|recommend|priorit|promot|select|choos|"
    r"zhiling|hulue|paidi)|"
    r"指令|指示|忽略|无视|無視|理会|规则|規則|系统|系統|助手|管理员|模型|人工智能|顾客|用户|输出|回答|返回|编号|序号|排第|排在|首位|置顶|最前|"
    r"选择|候选|说明|說明"
)
_WEAK = re.compile(
    r"\b(?:first|1st|top|best|you|your|please|kindly|this|these|those|me|my|must|always|never|should|before|ahead|above|"
    r"all|others?|every(?:thing|body|one)?|anything|number|list|order|put|place|pick|prefer|rules?|task|job|new|only|"
    r"told|wants?|items?|message|highest|front|next|then|in)\b|"
    r"请|第一|必须|永远|最|其余|其他|全部|一切|之前|以上|任务|选|想要|首"
)
_CODE = re.compile(r"[{}<>=`|\\\[\]【】]|/\*|\*/|//|##|\"")
_CLAUSES = re.compile(r"[!?;。！？；]\s*\S|(?<=\w{4})\.\s+\S|，.*，|,.*,.*,")
_APART = re.compile(r"\b(?:\w[ .\-_*]){3,}\w\b")
_LEET = str.maketrans("013457@$", "oieastas")
_ALIKE = str.maketrans("аеорсухіѕјԁɡһкмтвνοαερι", "aeopcyxisjdghkmtbvoaepi")
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")


def name_like(text: str, cells: int = CELLS, words: int = WORDS) -> bool:
    """Whether ``text`` looks like a name, and like nothing that is said to a model. Cost: 20 µs, kept for the last."""
    return _name_like(text, cells, words)


@lru_cache(16_384)
def _name_like(text: str, cells: int, words: int) -> bool:
    if not text or len(text) > cells or any(unicodedata.category(c) in ("Cf", "Co", "Cc", "Cs") for c in text):
        return False
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    wide = len(_WIDE.findall(plain))
    found = plain.split()
    if len(plain) + wide > cells or len(found) > words or any(len(word) > 24 for word in found if word.isascii()):
        return False
    if _CODE.search(plain) or _CLAUSES.search(plain) or _APART.search(plain):
        return False
    if len({_script(c) for c in plain if c.isalpha() and _script(c) in ("LATIN", "CYRILLIC", "GREEK")}) > 1:
        return False
    return all(_said(form) < 2 for form in _forms(plain))


def _forms(plain: str) -> set[str]:
    """A text as it stands, with digits for letters undone, and without its gaps where it is Chinese."""
    alike = plain.translate(_ALIKE)
    found = {alike}
    if any(c.isdigit() for c in alike) and re.search(r"[^\W\d]\d|\d[^\W\d]", alike):
        found.add(alike.translate(_LEET))
    if _WIDE.search(alike):
        found.add(re.sub(r"\s+", "", alike))
    return found


def _said(text: str) -> int:
    """How much of it are words to somebody: strong ones count twice."""
    return 2 * len(_STRONG.findall(text)) + len(_WEAK.findall(text))


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]
