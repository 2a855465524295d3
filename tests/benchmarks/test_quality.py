"""Palate beside its peers: the files a peer is asked by, what it is told and not told, its choice, failures, tables."""

from __future__ import annotations

import ast
import json
import re
import sys

import numpy as np
import pytest

from benchmarks.quality import __main__ as command
from benchmarks.quality import data, plot, tables
from benchmarks.quality.environments import python_of
from benchmarks.quality.exchange import PEERS, Exchange, PeerFailed
from benchmarks.quality.found import Found
from benchmarks.quality.own import Frozen, judge
from benchmarks.quality.peer import REFITS, PeerSystem, Spec
from benchmarks.quality.runs import Asked, Runs
from palate.config import Settings
from palate.errors import InvalidInput
from palate.evaluate.bootstrap import Estimate
from palate.evaluate.protocol import draw, drive
from palate.evaluate.stream import Histories
from tests.evaluate.worlds import HOUR, events, paired_world, popular_world, stream
from tests.source import parsed

FAKE = """
from pathlib import Path
import sys
import numpy as np
from contract import by_history, serve

class Fake:
    def __init__(self, settings, seed, threads):
        self.settings = settings
        with Path(settings.get("diary", sys.argv[1] + "/diary")).open("a") as out:
            out.write("made\\\\n")

    def fit(self, log):
        if self.settings.get("breaks"):
            raise ValueError("the stars | are wrong")
        assert log.items.max() < log.n_items and "palate" not in sys.modules
        self.log = log
        self.after = {}
        last = {}
        for user, item in zip(log.users.tolist(), log.items.tolist()):
            if user in last:
                self.after.setdefault(last[user], np.zeros(log.n_items))[item] += 1
            last[user] = item

    def score(self, asked, reading):
        n = self.log.n_items
        if reading["by"] == "log":
            return np.tile(np.bincount(self.log.items, minlength=n), (len(asked.users), 1))
        scores = np.zeros((len(asked.users), n))
        for row, own in enumerate(asked.histories):
            assert (own.times <= asked.now[row]).all() and (own.items < asked.sizes[row]).all()
            if reading["by"] == "history":
                np.add.at(scores[row], own.items[own.items < n], own.weights[own.items < n])
            elif len(own.items) and self.settings["good"]:
                scores[row] = self.after.get(int(own.items[-1]), 0)
        return scores

serve(Fake)
"""


def fake(folder, readings, trials=({"good": True},), dear=False, requirements=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peer.py").write_text(FAKE)
    (folder / "requirements.txt").write_text(requirements)
    told = {"label": "Fake", "dear": dear, "trials": list(trials), "readings": list(readings)}
    (folder / "trials.json").write_text(json.dumps(told))
    return Spec.load(folder)


def quiet(stage, done, total):
    pass


def asked(world, spec, folder, test=200, trials=9, seen=("drop", "keep")):
    plan = draw(world, seen, test, 1)
    exchange = Exchange(world, folder / "log", Settings())
    system = PeerSystem(spec, sys.executable, exchange, plan, folder / "run", 1, trials)
    return plan, system, judge(system, system.frozen(), world, plan, quiet)


class Told:
    """In this process and from the stream alone, what the fake peer ought to answer."""

    name = "told"

    def __init__(self, by, frozen):
        self.by, self.frozen = by, frozen

    def start(self, stream, train, stop, progress):
        self.stream, self.stop = stream, stop
        self.histories = Histories(stream)
        end = len(stream)
        self.fits = [stop + (end - stop) * part // (REFITS + 1) for part in range(REFITS + 1)]

    def feed(self, stop):
        pass

    def score(self, query):
        position = self.stop if self.frozen else query.position
        fit = max(fit for fit in self.fits if fit <= position)
        size = self.stream.catalogue(fit)
        found = np.full(query.size, -np.inf, dtype=np.float32)
        items = self.stream.items[:fit] if self.by == "log" else self.histories.seen(query.user, position)
        found[:size] = np.bincount(items, minlength=query.size)[:size]
        return found

    def notes(self):
        return {}

    def close(self):
        pass


def growing_world():
    """Every tenth event brings an item that was never there."""
    rows, _ = popular_world(n=1500, items=40)
    return stream([(user, 1000 + at if at % 10 == 0 else item) for at, (user, item) in enumerate(rows)])


@pytest.mark.parametrize("by", ["log", "history"])
def test_a_peer_ranks_from_the_history_of_the_moment_by_the_fit_that_stands_then(tmp_path, by):
    world = growing_world()
    plan, _, found = asked(world, fake(tmp_path / "fake", [{"by": by}]), tmp_path)
    for frozen, ranks in ((False, found.ranks), (True, found.frozen)):
        told = drive(Told(by, frozen), world, plan, Histories(world), 10, quiet).rank
        for mode in ("drop", "keep"):
            assert np.array_equal(ranks[mode], told[mode], equal_nan=True), (frozen, mode)
    assert not np.array_equal(found.ranks["keep"], found.frozen["keep"], equal_nan=True)


def test_the_answer_is_known_where_items_come_in_pairs(tmp_path):
    world = stream(*paired_world(n=6000, pairs=20))
    plan, system, found = asked(world, fake(tmp_path / "fake", [{"by": "log"}, {"by": "last"}]), tmp_path)
    assert system.chosen.by_seen["keep"][1] == 1
    histories = Histories(world)
    seconds = [len(histories.seen(int(world.users[p]), p)) % 2 == 1 for p in plan.positions.tolist()]
    ranks = found.ranks["keep"][plan.scored["keep"]]
    second = np.array(seconds)[plan.scored["keep"]]
    assert second.sum() > 50
    assert (ranks[second] == 1).all()
    assert (ranks[~second] > 1).mean() > 0.9
    assert found.notes["keep"]["by"] == "last"
    assert found.notes["keep"]["valid_ndcg"] > 0.4


def test_the_trial_is_chosen_on_validation_and_a_dear_one_is_the_same_for_both(tmp_path):
    world = stream(*paired_world(n=6000, pairs=20))
    trials = [{"good": False}, {"good": True}]
    _, system, _ = asked(world, fake(tmp_path / "fake", [{"by": "last"}], trials), tmp_path)
    assert system.chosen.by_seen["keep"][0] == 1
    _, system, _ = asked(world, fake(tmp_path / "fake", [{"by": "last"}], trials), tmp_path, trials=1)
    assert system.chosen.by_seen["keep"][0] == 0
    _, system, _ = asked(world, fake(tmp_path / "fake", [{"by": "last"}], trials, dear=True), tmp_path)
    assert {trial for trial, _, _ in system.chosen.by_seen.values()} == {1}


def test_where_nobody_repeats_what_was_had_stands_last_by_choice(tmp_path):
    rng = np.random.default_rng(3)
    shares = 1 / np.arange(1, 51) ** 1.2
    shares /= shares.sum()
    rows = [(user, item) for user in range(300) for item in rng.choice(50, 12, replace=False, p=shares)]
    world = stream([rows[at] for at in np.argsort(rng.random(len(rows)))])
    plan, system, found = asked(world, fake(tmp_path / "fake", [{"by": "log"}]), tmp_path)
    assert system.chosen.by_seen == {"drop": (0, 0, False), "keep": (0, 0, True)}
    assert found.notes["keep"]["seen items"] == "last"
    both = plan.scored["drop"] & plan.scored["keep"]
    assert np.array_equal(found.ranks["drop"][both], found.ranks["keep"][both])


def test_a_peer_that_fails_is_a_row_with_the_reason(tmp_path, monkeypatch):
    world = stream(*popular_world(n=1000))
    spec = fake(tmp_path / "fake", [{"by": "log"}], [{"breaks": True}])
    with pytest.raises(PeerFailed, match=re.escape("ValueError: the stars | are wrong")):
        asked(world, spec, tmp_path)
    runs = a_run(tmp_path, monkeypatch)
    (found,) = runs.peer(spec)
    assert found.failed == "ValueError: the stars | are wrong"
    line = tables.lines([[found]], runs.plan, runs.stream.users[runs.plan.positions], "keep", False, 10)
    row = tables.markdown(line, 10, 1, costs=True).splitlines()[-1]
    assert row.startswith("| Fake | failed: ValueError: the stars / are wrong | –")
    assert row.count("|") == tables.markdown(line, 10, 1, costs=True).splitlines()[0].count("|")


def test_what_cannot_be_installed_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "requirements.txt").write_text("no-such-package-of-anybody==1.0\n")
    with pytest.raises(PeerFailed, match=r"it can't be installed: .*no-such-package-of-anybody"):
        python_of(tmp_path / "requirements.txt", tmp_path / "environments")


def a_run(folder, monkeypatch, seeds=1, fresh=False):
    monkeypatch.setattr("benchmarks.quality.runs.python_of", lambda requirements, work: sys.executable)
    wanted = Asked("unused", ("drop", "keep"), 100, 1, seeds, 4)
    return Runs(wanted, events(popular_world(n=1000)[0]), folder / "work", quiet, fresh)


def test_results_are_read_again_until_something_changes(tmp_path, monkeypatch):
    diary = tmp_path / "diary"
    runs = a_run(tmp_path, monkeypatch, seeds=2)
    trials = [{"good": True, "diary": str(diary)}]
    first = runs.peer(fake(tmp_path / "fake", [{"by": "log"}], trials))
    # One trial and one test with the first seed, the test alone with the second.
    assert diary.read_text().count("made") == 3
    again = a_run(tmp_path, monkeypatch, seeds=2).peer(fake(tmp_path / "fake", [{"by": "log"}], trials))
    assert diary.read_text().count("made") == 3
    for one, other in zip(first, again, strict=True):
        assert {**vars(one), "ranks": 0, "frozen": 0} == {**vars(other), "ranks": 0, "frozen": 0}
        for mode in ("drop", "keep"):
            assert np.array_equal(one.ranks[mode], other.ranks[mode], equal_nan=True)
            assert np.array_equal(one.frozen[mode], other.frozen[mode], equal_nan=True)
    a_run(tmp_path, monkeypatch, seeds=2).peer(fake(tmp_path / "fake", [{"by": "log"}, {"by": "history"}], trials))
    assert diary.read_text().count("made") == 6
    a_run(tmp_path, monkeypatch, fresh=True).peer(fake(tmp_path / "fake", [{"by": "log"}], trials))
    assert diary.read_text().count("made") == 8


def test_a_second_seed_keeps_the_choice_of_the_first_even_if_that_is_only_read(tmp_path, monkeypatch):
    diary = tmp_path / "diary"
    trials = [{"good": True, "diary": str(diary)}]
    a_run(tmp_path, monkeypatch).peer(fake(tmp_path / "fake", [{"by": "log"}], trials))
    found = a_run(tmp_path, monkeypatch, seeds=2).peer(fake(tmp_path / "fake", [{"by": "log"}], trials))
    assert diary.read_text().count("made") == 3
    assert found[0].notes == found[1].notes


def test_frozen_asks_a_system_as_of_the_split():
    world = stream(*popular_world(n=1000))
    plan = draw(world, ("keep",), 50, 1)
    found = judge(system := Told("history", False), Frozen(system, plan.test), world, plan, quiet)
    told = drive(Told("history", True), world, plan, Histories(world), 10, quiet).rank
    assert np.array_equal(found.frozen["keep"], told["keep"])
    assert not np.array_equal(found.frozen["keep"], found.ranks["keep"])


def test_tables_hold_means_leads_and_the_spread_between_seeds():
    world = stream(*popular_world(n=1000))
    plan = draw(world, ("keep",), 50, 1)
    users = world.users[plan.positions].astype(np.int64)

    def one(name, rank, mb=1.0):
        ranks = {"keep": np.where(plan.scored["keep"], float(rank), np.nan)}
        return Found(name, name, ranks, {"keep": ranks["keep"] + 20}, 1.0, 2.0, mb)

    systems = [[one("palate", 1)], [one("other", 3, 5.0), one("other", 1, 7.0)], [Found("gone", "gone", failed="no")]]
    palate, other, gone = tables.lines(systems, plan, users, "keep", False, 10)
    assert palate.ndcg == Estimate(1.0, 1.0, 1.0)
    assert palate.ahead is None
    assert palate.spread is None
    assert other.ndcg.value == pytest.approx(0.75)
    assert other.mrr.value == pytest.approx((1 + 1 / 3) / 2)
    assert other.hit_rate.value == 1.0
    assert other.spread == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert other.ahead.value == pytest.approx(0.25)
    assert other.peak_mb == 7.0
    assert gone.failed == "no"
    text = tables.markdown([palate, other, gone], 10, 2, costs=True)
    assert "| palate | **1.0000** (1.0000–1.0000) |" in text
    assert "| ± 0.3536 | +0.2500 (+0.2500–+0.2500) | 1 | 2 | 7 |" in text
    assert len({line.count("|") for line in text.splitlines()}) == 1
    frozen = tables.lines(systems, plan, users, "keep", True, 10)
    assert frozen[0].ndcg.value == 0.0


def test_the_plot_has_every_system_that_has_figures(tmp_path):
    def line(name, value, failed=""):
        one = Estimate(value, value and value - 0.01, value and value + 0.01)
        return tables.Line(name, f"label of {name}", one, one, one, one, None, None, 1, 1, 1, failed)

    lines = [line("palate", 0.2), line("als", 0.1), line("gone", None, "it is gone")]
    plot.write([("first panel", lines, lines), ("second panel", lines, [])], 10, tmp_path / "q.html")
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "first panel" in page
    assert "second panel" in page
    assert "label of als" in page
    assert "label of gone" not in page
    assert not re.search(r"<script[^>]* src=", page)


PEER_FOLDERS = sorted(file.parent for file in PEERS.glob("*/peer.py"))


@pytest.mark.parametrize("folder", PEER_FOLDERS, ids=lambda folder: folder.name)
def test_every_peer_has_the_same_budget_pinned_releases_and_nothing_of_palate(folder):
    spec = Spec.load(folder)
    assert len(spec.trials) == 4
    assert len({json.dumps(trial, sort_keys=True) for trial in spec.trials}) == 4
    lines = (folder / "requirements.txt").read_text().split()
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+", line)] == []
    for file in (folder / "peer.py", PEERS / "contract.py"):
        names = [
            name
            for node in ast.walk(parsed(file.read_text()))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [x.name for x in node.names])
        ]
        assert [name for name in names if name.split(".")[0] in ("palate", "benchmarks")] == []


def test_the_command_prints_tables_and_writes_the_plot(tmp_path, monkeypatch, capsys):
    shop = tmp_path / "shop"
    shop.mkdir()
    rows = "".join(f"u{u},i{i},{(at + 1) * HOUR // 1000}\n" for at, (u, i) in enumerate(popular_world(n=800)[0]))
    (shop / "events.csv").write_text("user,item,timestamp\n" + rows)
    peers = tmp_path / "peers"
    fake(peers / "fake", [{"by": "log"}])
    monkeypatch.setattr(command, "PEERS", peers)
    monkeypatch.setattr("benchmarks.quality.runs.python_of", lambda requirements, work: sys.executable)
    arguments = [
        "--data", "shop", "--beside", str(tmp_path), "--test", "50", "--no-palate", "--baselines", "popular",
        "--work", str(tmp_path / "work"),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["quality", *arguments])
    assert command.main() == 0
    text = capsys.readouterr().out
    assert "### shop, drop" in text
    assert "### shop, keep" in text
    popular = re.findall(r"^\| Popular, all time \| (\S+)", text, re.MULTILINE)
    peer = re.findall(r"^\| Fake \| (\S+)", text, re.MULTILINE)
    assert len(popular) == len(peer) == 4
    # Frozen at the split both count the same events; learning, the peer is refitted and popular is fed.
    assert popular[1].strip("*") == peer[1].strip("*")
    assert (tmp_path / "work" / "quality.html").exists()
    monkeypatch.setattr(sys, "argv", ["quality", *arguments, "--only-kept"])
    assert command.main() == 0
    assert capsys.readouterr().out == text
    monkeypatch.setattr(sys, "argv", ["quality", *arguments[:-1], str(tmp_path / "other"), "--minutes", "0"])
    assert command.main() == 0
    assert "| Fake" not in capsys.readouterr().out


def test_data_that_is_nowhere_is_named(tmp_path, monkeypatch, capsys):
    with pytest.raises(InvalidInput, match="nowhere"):
        data.found("nowhere", tmp_path, tmp_path)
    monkeypatch.setattr(sys, "argv", ["quality", "--data", "nowhere", "--beside", str(tmp_path), "--no-plot"])
    assert command.main() == 1
    assert "'nowhere' is no data set" in capsys.readouterr().err.replace("\n", " ")
