"""What a service says of itself follows its configuration: switch something, and it says something else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from palate.experiment import Arm, Experiment
from palate.explaining.transparency import Transparency
from palate.testing.world import START, make_world
from palate.types import Impression, User
from tests.engines import SMALL, did, filled

WORLD = make_world(people=15, per_genre=6, interactions=400)
SAID = [
    User(id="u0", timestamp=START, user="p0", fields={"country": "fr", "follows": ["p1"], "likes": ["space"]}),
    Impression(id="shown", timestamp=START + 1, user="p0", items=["space-1"]),
]
HAN = re.compile(r"[\u4e00-\u9fff]")


def told(**settings: Any) -> Transparency:
    with filled([*WORLD.events, *SAID], **settings) as engine:
        engine.recommend("p0", 5)
        return engine.transparency()


def every(found: Transparency) -> dict[str, Any]:
    lists = found.data, found.influences, found.retention, found.choices
    return {one.code: one for some in lists for one in some}


@pytest.fixture(scope="module")
def usual() -> Transparency:
    return told()


def test_it_says_everything_in_both_languages(usual: Transparency) -> None:
    assert len(every(usual)) == sum(map(len, (usual.data, usual.influences, usual.retention, usual.choices)))
    for one in every(usual).values():
        assert one.text.endswith(".")
        assert not HAN.search(one.text)
        assert HAN.search(one.chinese)
        assert one.chinese.endswith("。")
    assert usual.basis == "live"
    assert sum(one.share for one in usual.parameters) == pytest.approx(1.0, abs=0.01)
    assert all(one.used for one in usual.parameters)


def test_the_log_decides_what_is_in_use(usual: Transparency) -> None:
    used = every(usual)
    assert all(used[code].used for code in ("interactions", "others", "fields", "follows", "wishes", "impressions"))
    assert "country" in used["fields"].text
    assert "likes" not in used["fields"].text
    assert "click +1" in used["interactions"].text
    with filled(WORLD) as engine:
        bare = every(engine.transparency())
    assert not any(bare[code].used for code in ("fields", "follows", "wishes", "impressions", "context"))
    assert engine is not None


OFF: dict[str, tuple[dict[str, Any], list[str]]] = {
    "features": ({"features": {"off": ["popularity", "item_to_item", "towers", "people"]}}, ["others", "impressions"]),
    "content": ({"features": {"off": ["content", "query"]}}, ["item_texts", "queries"]),
    "company": ({"features": {"off": ["company", "pop_segment"]}}, ["follows", "wishes", "fields", "carried"]),
    "tags": ({"features": {"off": ["tags"]}}, ["tags"]),
    "time": ({"features": {"off": ["context", "daypart"]}}, ["time"]),
    "feedback": ({"language": {"encoder": "hashing", "feedback": False}}, ["opinions"]),
    "decisions": ({"decisions": {"enabled": False}}, ["decisions", "why"]),
}


@pytest.mark.parametrize("name", list(OFF))
def test_what_is_switched_off_is_said_to_be_off(usual: Transparency, name: str) -> None:
    settings, codes = OFF[name]
    before, after = every(usual), every(told(**settings))
    for code in codes:
        assert not after[code].used, code
        if code not in ("carried",):
            assert before[code].used, code
            assert before[code].text != after[code].text
            assert before[code].chinese != after[code].chinese


def test_a_group_that_is_off_has_no_weight(usual: Transparency) -> None:
    off = {one.group: one for one in told(features={"off": ["content", "tags", "carried"]}).parameters}
    assert (off["taste"].used, off["taste"].share, off["taste"].features) == (False, 0.0, [])
    mine = next(one for one in usual.parameters if one.group == "taste")
    assert mine.used
    assert mine.share > 0
    with filled(WORLD, features={"off": re.findall(r'"(\w+)"', mine.setting)}) as engine:
        assert not next(one for one in engine.transparency().parameters if one.group == "taste").used


ON: dict[str, tuple[dict[str, Any], str, str]] = {
    "explore": ({"policy": {"explore": True}}, "exploration", "to learn"),
    "diversity": ({"policy": {"diversity": 0.3}}, "diversity", "0.3"),
    "chance": ({"policy": {"recommend": "plackett_luce", "temperature": 0.5}}, "policy.recommend", "temperature 0.5"),
    "epsilon": ({"policy": {"rank": "epsilon_greedy", "epsilon": 0.25}}, "policy.rank", "25%"),
    "linucb": ({"policy": {"recommend": "linucb", "alpha": 0.75}}, "policy.recommend", "0.75 standard"),
    "thompson": ({"policy": {"rank": "thompson", "samples": 99}}, "policy.rank", "99 draws"),
    "training": ({"train": {"auto_events": 5000}}, "training", "5,000"),
}


@pytest.mark.parametrize("name", list(ON))
def test_what_is_switched_on_is_said_with_its_size(usual: Transparency, name: str) -> None:
    settings, code, words = ON[name]
    after = every(told(**settings))
    assert after[code].used
    assert not every(usual)[code].used
    assert words in after[code].text


def test_what_bandits_learn_and_what_new_items_are_owed_is_said(usual: Transparency) -> None:
    policy = {"learn": True, "forget_days": 3.0, "explore_share": 0.05, "explore_day": 1000, "new_floor": 12}
    found = every(told(policy=policy))
    assert "half after 3 days" in found["answers"].text
    assert "5.0%" in found["exploration_budget"].text
    assert "1,000 a day" in found["exploration_budget"].text
    assert "12 times within 7 days" in found["newcomers"].text
    assert not {"answers", "exploration_budget", "newcomers"} & every(usual).keys()


def test_retention_and_weights_are_those_of_the_settings() -> None:
    found = every(told(decisions={"max_days": 3.0}, state={"history": 40}, weights={"hide": 0.0, "dislike": 0.0}))
    assert "3 days" in found["decisions"].text
    assert "newest 40" in found["events"].text
    assert "less" not in found
    kept = every(told(retention={"days": 9.0}, privacy={"redact": True}))
    assert "for 9 days" in kept["events"].text
    assert (kept["redaction"].used, found["redaction"].used) == (True, False)
    assert "hide" in every(told())["less"].text


def test_a_language_model_is_named_with_where_it_runs_and_what_it_is_told(usual: Transparency) -> None:
    generator = {"kind": "openai", "model": "tiny", "base_url": "http://llm.example:9/v1"}
    language = {"encoder": "hashing", "generator": generator, "rerank": {"enabled": True, "top": 7, "shift": 2}}
    found = every(told(language=language))
    assert not every(usual)["generator"].used
    assert found["generator"].used
    assert "llm.example" in found["generator"].text
    assert "first 7 items by at most 2 places" in found["rerank"].text


def test_experiments_and_models_are_those_that_run() -> None:
    with filled(WORLD, train=SMALL) as engine:
        assert not every(engine.transparency())["experiments"].used
        arms = [Arm("plain"), Arm("mixed", policy={"diversity": 0.3})]
        engine.arms.start(Experiment(name="mix", arms=arms, share=0.5), engine.clock())
        found = engine.transparency()
        assert "mix (2 arms, 50% of people)" in every(found)["experiments"].text
        assert (found.model.version, found.model.created) == ("prior", 0)
        engine.arms.stop("mix", engine.clock())
        report = engine.train()
        found = engine.transparency()
        assert not every(found)["experiments"].used
        assert found.model.version == report.version
        assert found.model.created
        assert found.model.events > 0


def test_it_names_no_person(usual: Transparency) -> None:
    names = {event.user for event in WORLD.interactions}
    text = str(usual)
    assert [name for name in names if name and re.search(rf"\b{name}\b", text)] == []
    assert did is not None
