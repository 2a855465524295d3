"""Settings: defaults < palate.toml < environment < arguments; every mistake is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import palate
from palate.config import DEFAULT_WEIGHTS, Settings, load
from palate.errors import ConfigError
from palate.settings_policy import PolicySettings


def toml(tmp_path: Path, text: str) -> Path:
    (tmp_path / "palate.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_defaults_need_no_configuration(tmp_path: Path) -> None:
    assert load(None, environ={}) == load(tmp_path, environ={}) == Settings()


def test_what_is_named_last_wins(tmp_path: Path) -> None:
    directory = toml(
        tmp_path, '[state]\nhistory = 10\nwindow = 5\n[language]\nencoder = "hashing"\n[weights]\nview = 0.5\n'
    )
    environ = {"PALATE_STATE__HISTORY": "20", "PALATE_STATE__NEIGHBOURS": "40"}
    found = load(directory, {"state": {"neighbours": 50}}, environ)
    assert (found.state.window, found.state.history, found.state.neighbours) == (5, 20, 50)
    assert found.language.encoder == "hashing"
    assert found.weight("view") == 0.5


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("PALATE_STATE__HALF_LIVES", "[1.0, 2.0, 3.0]", lambda s: s.state.half_lives == (1.0, 2.0, 3.0)),
        ("PALATE_LANGUAGE__ENCODER", "hashing", lambda s: s.language.encoder == "hashing"),
        ("PALATE_LANGUAGE__ENCODER", '"hashing"', lambda s: s.language.encoder == "hashing"),
        ("PALATE_POLICY__EXPLORE", "false", lambda s: s.policy.explore is False),
        ("PALATE_POLICY__DIVERSITY", "0.25", lambda s: s.policy.diversity == 0.25),
        ("PALATE_SERVE__HOST", "0.0.0.0", lambda s: s.serve.host == "0.0.0.0"),
        ("PALATE_SERVE__HOSTS", '["a.example"]', lambda s: s.serve.hosts == ("a.example",)),
        ("PALATE_SCENE", "shop", lambda s: s.scene == "shop"),
        ("PALATE_SEEN", "drop", lambda s: s.seen == "drop"),
        ("PALATE_WEIGHTS__PURCHASE", "4", lambda s: s.weight("purchase") == 4.0),
        ("PALATE_DURABILITY", "fast", lambda s: s.durability == "fast"),
    ],
)
def test_environment(name: str, text: str, expected: Any) -> None:
    assert expected(load(None, environ={name: text}))


@pytest.mark.parametrize(
    "name", ["PALATE_CACHE_DIR", "PALATE_API_KEY", "PALATE_URL", "PALATE_TEST_GGUF", "PATH", "palate_seen"]
)
def test_variables_that_are_no_settings(name: str) -> None:
    assert load(None, environ={name: "x"}) == Settings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("histroy = 1", "histroy is no setting; did you mean state.history?"),
        ("history = 1", "history is no setting; did you mean state.history?"),
        ("[state]\nhistroy = 1", "state.histroy is no setting; did you mean state.history?"),
        ("[sate]\nhistory = 1", "sate is no setting; did you mean state?"),
        ("[policy]\nwindow = 1", "policy.window is no setting; did you mean state.window?"),
        ("[weight]\nclick = 1", "weight is no setting; did you mean weights?"),
        (
            "[policy]\nxyzzy = 1",
            f"policy.xyzzy is no setting; known at [policy]: {', '.join(PolicySettings.__struct_fields__)}.",
        ),
        ("[state]\nhistory = 1.5", "state.history: expected `int`, got `float`."),
        ('[state]\nhistory = "10"', "state.history: expected `int`, got `str`."),
        ("[state]\nhalf_lives = [1.0, 2.0]", "state.half_lives: expected `array` of length 3, got 2."),
        ('[state]\nhalf_lives = [1.0, 2.0, "x"]', "state.half_lives: expected `float`, got `str`."),
        ("[state]\nhistory = 0", "state.history is 0; it must lie between 1 and 10000."),
        ("[state]\nwindow = 64", "state.window is 64; it must lie between 1 and 63."),
        ("[state]\nhalf_lives = [0.0, 1.0, 2.0]", "state.half_lives is 0; it must lie between 0.001 and 100000."),
        ("state = 3", "state: expected `object`, got `int`."),
        ('scene = "zoo"', "scene: invalid enum value 'zoo'; use shop, video, news, social."),
        ('seen = "never"', "seen: invalid enum value 'never'; use auto, drop, keep."),
        ("policy.explore = 1", "policy.explore: expected `bool`, got `int`."),
        ('[weights]\nview = 1\nclick = "much"', "weights.click: expected `float`, got `str`."),
        ("[weights]\n'a.b' = 2000", "weights.a.b is 2000; it must lie between -1000 and 1000."),
        ("scene = 3", "scene: expected `str | null`, got `int`; use shop, video, news, social."),
        ("[weights]\nclick = 2000", "weights.click is 2000; it must lie between -1000 and 1000."),
        ("[retrieve]\ncandidates = -1", "retrieve.candidates is -1; it must lie between 1 and 1000000."),
        ("[language]\nthreads = 0", "language.threads is 0; it must lie between 1 and 1024."),
        (
            "[language.generator]\nseconds = 0.0",
            "language.generator.seconds is 0; it must lie between 0.01 and 3600.",
        ),
        (
            '[language.generator]\nkind = "gtp"',
            "language.generator.kind: invalid enum value 'gtp'; use none, openai, gguf.",
        ),
        (
            '[language.generator]\nbase_url = "https://me:hush@there/v1"',
            "language.generator.base_url is no place for a password; name a variable as key.",
        ),
        (
            '[language.generator]\nkind = "gguf"',
            "language.generator is 'gguf' without a model; name a file, or one that was fetched.",
        ),
        ("[decisions]\nsample = 7.0", "decisions.sample is 7; it must lie between 0 and 1."),
        ("[decisions]\nflush_seconds = -1.0", "decisions.flush_seconds is -1; it must lie between 0 and 1000000."),
        ("[limits]\nk = 0", "limits.k is 0; it must lie between 1 and 1125899906842624."),
        ("[serve]\nport = 99999", "serve.port is 99999; it must lie between 0 and 65535."),
        ("[serve]\ndrain_seconds = -1.0", "serve.drain_seconds is -1; it must lie between 0 and 86400."),
        ("[train]\nseed = -1", "train.seed is -1; it must lie between 0 and 2147483647."),
        ("weights = 3", "weights: expected `object`, got `int`."),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(toml(tmp_path, text), environ={"PALATE_SEEN": "auto"} if "seen" not in text else {})
    assert caught.value.message == f"{tmp_path / 'palate.toml'}: {sentence}"


def test_a_file_that_cannot_be_parsed_or_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"palate\.toml is not valid TOML"):
        load(toml(tmp_path, "state = {"), environ={})
    (tmp_path / "palate.toml").unlink()
    (tmp_path / "palate.toml").symlink_to(tmp_path / "gone.toml")
    with pytest.raises(ConfigError, match=r"palate\.toml can't be read: No such file or directory"):
        load(tmp_path, environ={})
    (tmp_path / "palate.toml").unlink()
    (tmp_path / "palate.toml").mkdir()
    with pytest.raises(ConfigError, match=r"palate\.toml can't be read: Is a directory"):
        load(tmp_path, environ={})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "palate.toml").write_bytes(b"scene = '\xff'")
    with pytest.raises(ConfigError, match=r"palate\.toml is not valid TOML"):
        load(tmp_path, environ={})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PALATE_HISTORY", "3"),
        ("PALATE_STATE__HISTROY", "3"),
        ("PALATE_STATE__HISTORY", "many"),
        ("PALATE_STATE", "3"),
        ("PALATE_SEEN__ALWAYS", "true"),
        ("PALATE_SEEN", "[1]"),
        ("PALATE_", "3"),
        ("PALATE_STATE__", "3"),
    ],
)
def test_mistakes_in_the_environment_name_the_variable(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"the environment variable {name}[: ]"):
        load(None, environ={name: text})


def test_mistakes_in_arguments_reach_the_caller_of_open() -> None:
    with pytest.raises(ConfigError, match=r"the arguments: state.histroy is no setting; did you mean state.history\?"):
        palate.open(":memory:", state={"histroy": 3})
    with pytest.raises(ConfigError, match="the arguments: sate is no setting; did you mean state"):
        palate.open(":memory:", sate={})
    with pytest.raises(ConfigError, match="scene: invalid enum value 'zoo'"):
        palate.open(":memory:", scene="zoo")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="hashing"):
        palate.open(":memory:", language={"encoder": "gpt"})


def test_the_file_of_the_directory_and_the_environment_are_read_by_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml(tmp_path, '[language]\nencoder = "hashing"\n[state]\nhistory = 7\n')
    monkeypatch.setenv("PALATE_STATE__WINDOW", "3")
    with palate.open(tmp_path) as engine:
        assert (engine.settings.language.encoder, engine.settings.state.history) == ("hashing", 7)
        assert engine.settings.state.window == 3


def test_settings_do_not_change() -> None:
    with pytest.raises(AttributeError):
        Settings().seen = "keep"  # type: ignore[misc]


def test_weights_of_interaction_types() -> None:
    settings = Settings(weights={"purchase": 9.0, "wink": 0.0})
    assert [settings.weight(name) for name in ("purchase", "wink", "hide", "whatever")] == [9.0, 0.0, -2.0, 1.0]
    assert {name for name, weight in DEFAULT_WEIGHTS.items() if weight < 0} == {"hide", "dislike"}


def test_opening_takes_settings_or_overrides_and_ignores_neither() -> None:
    with pytest.raises(ConfigError, match="settings are used as they are, and scene, train would be ignored"):
        palate.open(":memory:", "video", Settings(), train={"trees": 3})
