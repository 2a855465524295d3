"""Which items have which text: chains through the items, so that every change costs the same however many there are.

``heads[t]`` names an item of text t and how many it has; ``following[i]`` the next item of the same text,
``previous[i]`` the one before, −1 where there is none; ``text_of[i]`` the text of item i. The order of a chain means
nothing.
"""

from __future__ import annotations

from palate.kernels import kernel
from palate.types import I32, Bools

NONE = -1
FIRST, USES = 0, 1


@kernel
def relink(items: I32, texts: I32, text_of: I32, heads: I32, following: I32, previous: I32) -> int:
    """Give each of ``items`` (n,) the text ``texts`` (n,), −1 for none, one after the other.

    Returns how many got another text than they had."""
    changed = 0
    for n in range(len(items)):
        item, text = items[n], texts[n]
        before = text_of[item]
        if before == text:
            continue
        changed += 1
        if before >= 0:
            ahead, behind = previous[item], following[item]
            if ahead >= 0:
                following[ahead] = behind
            else:
                heads[before, FIRST] = behind
            if behind >= 0:
                previous[behind] = ahead
            heads[before, USES] -= 1
        text_of[item] = text
        previous[item] = NONE
        following[item] = NONE
        if text >= 0:
            second = heads[text, FIRST]
            following[item] = second
            if second >= 0:
                previous[second] = item
            heads[text, FIRST] = item
            heads[text, USES] += 1
    return changed


@kernel
def allowed(text: int, heads: I32, following: I32, masked: bool, alive: Bools, most: int) -> int:
    """How many items of ``text`` may be returned, counting to ``most``. masked: whether ``alive`` (items,) says so."""
    uses = int(heads[text, USES])
    if uses <= 0 or not masked:
        return min(max(uses, 0), most)
    item = heads[text, FIRST]
    n = 0
    while True:
        n += 1 if item < len(alive) and alive[item] else 0
        uses -= 1
        if uses == 0 or n == most:
            return n
        item = following[item]


@kernel
def texts_of(alive: Bools, text_of: I32, marked: Bools, out: I32) -> int:
    """The distinct texts of the allowed items into ``out``, in order of their first one; how many.

    marked: (texts,) False everywhere, and is again afterwards."""
    n = 0
    for item in range(min(len(alive), len(text_of))):
        text = text_of[item]
        if alive[item] and text >= 0 and not marked[text]:
            marked[text] = True
            out[n] = text
            n += 1
    for place in range(n):
        marked[out[place]] = False
    return n
