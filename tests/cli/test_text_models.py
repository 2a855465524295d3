"""``palate finetune``, ``classify`` and ``compress``: bad input needs no PyTorch; with it, tiny models do it."""

from __future__ import annotations

from importlib import util
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import palate as package
from palate.language import make_encoder, textmodel
from palate.language.textmodel import TextModel
from palate.train.compress import judge
from palate.train.compress.static import learn_tokens, packed
from palate.train.text.save import save_head
from tests.cli.conftest import Palate
from tests.train.text import tiny

needs_tokens = pytest.mark.skipif(find_spec("tokenizers") is None, reason="needs the package tokenizers")


def last(palate: Palate, *arguments: object) -> str:
    """The one sentence of a command that must fail with exit code 2."""
    done = palate(*arguments)
    assert done.code == 2, done
    return done.err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("words,label\nx,y\n", "t.csv has no column 'text'; it has words, label."),
        (
            "text,label\n" + "".join(f"t{n},one\n" for n in range(9)),
            "Every label is 'one'; there must be two classes or more.",
        ),
        ("text,label\n,\n , \n", "t.csv has no row with both a text and a label."),
        ("text,label\na,x\nb,y\n", "The label 'x' has 1 different texts; each needs 5 or more."),
    ],
)
def test_a_bad_table_is_one_sentence_and_comes_before_any_library(
    palate: Palate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    without(monkeypatch, "torch", "transformers")
    (tmp_path / "t.csv").write_text(text)
    assert last(palate, "finetune", "--csv", "t.csv") == f"palate: {sentence}"
    (tmp_path / "t.csv").write_bytes(text.encode("utf-16"))
    assert "is not UTF-8 (byte 0)" in last(palate, "finetune", "--csv", "t.csv")


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As on a machine without ``packages``."""
    real = util.find_spec

    def found(name: str, package: str | None = None) -> object:
        return None if name in packages else real(name, package)

    for module in ("train.text.libraries", "language.onnx", "language.static"):
        monkeypatch.setattr(f"palate.{module}.find_spec", found)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["finetune"], "Give one of --csv FILE and --events DIRECTORY."),
        (["finetune", "--csv", "t.csv", "--events", "d"], "Give one of --csv FILE and --events DIRECTORY."),
        (["finetune", "--csv", "none.csv"], "none.csv can't be read: No such file or directory."),
        (["finetune", "--events", "none"], "There is no engine at none."),
        (
            ["finetune", "--events", "none", "--rows", "5"],
            "--hold-tokens, --hold-layers and --drop-tokens are for --csv.",
        ),
        (["finetune", "--csv", "t.csv", "--lora", "-1"], "Invalid value for '--lora'"),
        (["finetune", "--csv", "t.csv", "--minutes", "0"], "Invalid value for '--minutes'"),
        (["finetune", "--csv", "t.csv", "--out", "t.csv"], "t.csv exists and is no text model of Palate's"),
        (["classify"], "Give either texts or --dir DIRECTORY."),
        (["classify", "hello", "--dir", "d"], "Give either texts or --dir DIRECTORY."),
        (["classify", "hello"], "text.model is no text model of Palate's, for it has no palate.json"),
        (["classify", "--dir", "none", "--model", "m"], "There is no engine at none."),
        (["classify", "hello", "--field", " "], "--field must not be empty."),
        (["compress", "minilm", "--to", "zip"], "--to 'zip' is unknown: use int8, static, pruned, layers."),
        (["compress", "hashing", "--to", "static"], "There are 0 texts, and 50 or more are needed"),
        (["compress", "hashing", "--to", "static", "--dir", "none"], "There is no engine at none."),
        (
            ["compress", "hashing", "--to", "static", "--corpus", "none"],
            "none can't be read: No such file or directory.",
        ),
        (["compress", "hashing", "--limit", "2"], "Invalid value for '--limit'"),
        (["compress"], "Missing argument 'MODEL'."),
        (["compress", "nothing.gguf"], "There is no file nothing.gguf."),
        (["compress", "nothing", "--to", "static"], "The encoder 'nothing' is unknown; installed here: "),
    ],
)
def test_mistakes_are_one_sentence(palate: Palate, tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "t.csv").write_text("text,label\n")
    assert sentence in last(palate, *arguments)


def test_a_model_that_is_nowhere_is_told_before_texts_that_lack(
    palate: Palate, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = last(palate, "compress", "nothing", "--corpus", "none")
    assert "nothing" in said
    assert "Hugging Face cache" in said
    monkeypatch.setattr("palate.language.transformer.find_spec", lambda name: None)
    said = last(palate, "compress", "nothing")
    assert said.endswith(
        "needs the package 'huggingface_hub', which is not installed: pip install 'palate[transformers]'"
    )


@pytest.mark.parametrize("lacking", ["torch", "transformers"])
def test_what_is_not_installed_is_named_with_its_extra(
    palate: Palate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    if lacking == "transformers" and find_spec("torch") is None:
        pytest.skip("torch is asked for first")
    without(monkeypatch, lacking)
    tiny.table(tmp_path / "t.csv", 40)
    said = last(palate, "finetune", "--csv", "t.csv", "--model", str(tmp_path))
    assert f"needs the package '{lacking}', which is not installed: pip install 'palate[train]'" in said


def words_model(folder: Path, texts: list[str]) -> Path:
    """A static encoder with classes that looks for lovely words."""
    tokens = learn_tokens(texts, 900)
    vectors = np.zeros((max(tokens.get_vocab().values()) + 1, 8), np.float32)
    vectors[:, 0] = 0.05
    for words, place in ((tiny.GOOD, 1), (tiny.BAD, 2)):
        for word in words:
            for code in tokens.encode(word).ids:
                vectors[code, place] += 1.0
    weights = np.zeros((8, 2), np.float32)
    weights[1, 1] = weights[2, 0] = 5.0

    def fill(place: Path) -> None:
        tokens.save(str(place / textmodel.TOKENIZER))
        (place / textmodel.TOKENS).write_bytes(safetensors.numpy.save(packed(vectors)))
        save_head(place, weights, np.zeros(2, np.float32))

    textmodel.write(folder, TextModel(kind="static", width=8, labels=["bad", "good"]), fill)
    return folder


@needs_tokens
def test_classes_become_a_field_that_filters_and_tastes_know(palate: Palate, tmp_path: Path) -> None:
    texts, labels = tiny.sentences(60)
    model = words_model(tmp_path / "words.model", texts)
    events = [
        {"event": "item", "item": f"i{n}", "timestamp": 1_700_000_000_000, "fields": {"title": text}}
        for n, text in enumerate(texts)
    ]
    liked = [n for n, label in enumerate(labels) if label == "good"][:6]
    events += [
        {"event": "interaction", "user": "u", "item": f"i{n}", "type": "like", "timestamp": 1_700_000_100_000 + n}
        for n in liked
    ]
    with package.open(tmp_path / "shop", language={"encoder": "none"}) as engine:
        engine.ingest(events)
    done = palate("classify", "--model", model, "--dir", "shop", "--field", "mood", "--json").json
    assert (done["items"], done["accepted"], done["unsure"]) == (60, 60, 0)
    right = sum(label == "good" for label in labels)
    assert abs(done["classes"]["good"] - right) <= 3
    again = palate("classify", "--model", model, "--dir", "shop", "--field", "mood", "--json").json
    assert (again["accepted"], again["duplicates"]) == (0, 60)
    with package.open(tmp_path / "shop", language={"encoder": "none"}) as engine:
        state = engine.state
        moods = {state.items.ids[row]: state.item_fields[row]["mood"] for row in range(state.n_items)}
        only = engine.recommend(user="u", k=20, filter={"mood": {"eq": "good"}}, policy="greedy")
        assert only.items
        assert {moods[one.id] for one in only.items} == {"good"}
        rest = [f"i{n}" for n in range(60) if n not in liked]
        ranking = engine.rank(user="u", items=rest, explain=True, policy="greedy")
        top = [moods[one.id] for one in ranking.items[:10]]
        assert top == ["good"] * 10  # nothing else tells these items apart for this person
    unsure = palate("classify", "--model", model, "--dir", "shop", "--field", "m2", "--sure", "1.0", "--json").json
    assert (unsure["accepted"], unsure["unsure"]) == (0, 60)


@needs_tokens
def test_texts_are_told_apart_on_the_spot(palate: Palate, tmp_path: Path) -> None:
    model = words_model(tmp_path / "words.model", tiny.sentences(60)[0])
    found = palate("classify", "a lovely film", "a tedious story", "--model", model, "--json").json
    assert [one["label"] for one in found] == ["good", "bad"]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1.0, abs=1e-5)
    assert "类别" in palate("classify", "a lovely film", "--model", model, "--lang", "zh").out


@needs_tokens
def test_a_static_student_is_made_judged_and_refused_without_torch(
    palate: Palate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "torch", "transformers")
    (tmp_path / "corpus.txt").write_text("\n".join(tiny.sentences(300)[0]))
    monkeypatch.setattr(judge, "_SECONDS", 0.0)
    asked = ["compress", "hashing", "--to", "static", "--corpus", "corpus.txt", "--width", "64", "--out", "small"]
    done = palate(*asked, "--json")
    assert done.code == 0, done.err
    answer = done.json
    assert answer["verdict"]["kept"]
    assert answer["encoder"] == f"static:{tmp_path / 'small'}"
    agreed = answer["quality"][0]
    assert agreed["measure"] == "agreement"
    assert agreed["after"] > 0.75
    encoder = make_encoder(answer["encoder"])
    near = encoder.encode(["a lovely film", "lovely film a", "tedious cold ending"])
    assert near[0] @ near[1] > 0.99 > near[0] @ near[2]
    before = (tmp_path / "small" / textmodel.FILE).read_bytes()
    refused = palate(*asked, "--limit", "0.0001", "--json")
    assert refused.code == 1
    assert not refused.json["verdict"]["kept"]
    assert (refused.json["out"], refused.json["encoder"]) == ("", "")
    assert (tmp_path / "small" / textmodel.FILE).read_bytes() == before
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    told = palate(*asked, "--limit", "0.0001", "--lang", "zh")
    assert "已拒绝" in told.out
    forced = palate(*asked, "--limit", "0.0001", "--force", "--json")
    assert forced.code == 0
    assert forced.json["forced"]
    assert forced.json["out"] == str(tmp_path / "small")


@tiny.torched
@pytest.mark.filterwarnings("ignore")
def test_from_a_table_to_an_encoder_and_its_classes(palate: Palate, tmp_path: Path) -> None:
    tiny.table(tmp_path / "reviews.csv")
    bert = tiny.model(tmp_path / "bert", "bert")
    done = palate(
        "finetune", "--csv", "reviews.csv", "--model", bert, "--rate", "0.003", "--epochs", 6, "--batch", 16,
        "--report", "page.html", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = done.json["report"]
    assert report["scores"]["low"] > report["scores"]["majority"]
    assert done.json["labels"] == ["bad", "good"]
    assert done.json["out"] == str(tmp_path / "reviews.model")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 2
    assert str(report["scores"]["confusion"][0][0]) in page
    told = palate("classify", "a lovely warm film", "--model", "reviews.model", "--json").json
    assert told[0]["label"] == "good"
    shown = palate(
        "finetune", "--csv", "reviews.csv", "--model", bert, "--epochs", 1, "--rows", 60, "--lora", 2, "--lang", "zh"
    )
    assert shown.code == 0, shown.err
    for text in ("训练过程", "混淆矩阵", "准确率"):
        assert text in shown.out


@tiny.torched
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "more"), [("layers", ["--layers", 1]), ("pruned", ["--neurons", 0.5])])
def test_a_smaller_network_keeps_its_classes(
    palate: Palate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, more: list[object]
) -> None:
    monkeypatch.setattr(judge, "_SECONDS", 0.0)
    tiny.table(tmp_path / "reviews.csv")
    bert = tiny.model(tmp_path / "bert", "bert")
    palate("finetune", "--csv", "reviews.csv", "--model", bert, "--rate", "0.003", "--epochs", 6, "--batch", 16)
    done = palate("compress", "reviews.model", "--to", kind, *more, "--csv", "reviews.csv", "--limit", 0.5, "--json")
    assert done.code == 0, done
    answer = done.json
    assert answer["after"]["mb"] < answer["before"]["mb"]
    assert [one["measure"] for one in answer["quality"]] == ["agreement", "classes"]
    told = palate("classify", "a lovely warm film", "--model", answer["out"], "--json").json
    assert told[0]["label"] == "good"


@tiny.torched
@pytest.mark.filterwarnings("ignore")
def test_events_teach_an_encoder_what_goes_together(palate: Palate, tmp_path: Path) -> None:
    """People stay with their kind of text; a random encoder can't tell, one that has seen them can."""
    chance = np.random.default_rng(1)
    texts, labels = tiny.sentences(60)
    kinds = {kind: [n for n, label in enumerate(labels) if label == kind] for kind in ("good", "bad")}
    start = 1_700_000_000_000
    events: list[dict[str, object]] = [
        {"event": "item", "item": f"i{n}", "timestamp": start, "fields": {"title": text}}
        for n, text in enumerate(texts)
    ]
    for step in range(1500):
        user = int(chance.integers(60))
        item = int(chance.choice(kinds["good" if user % 2 else "bad"]))
        events.append(
            {"event": "interaction", "user": f"u{user}", "item": f"i{item}", "type": "click", "timestamp": start + step}
        )
    with package.open(tmp_path / "shop", language={"encoder": "none"}) as engine:
        engine.ingest(events)
    bert = tiny.model(tmp_path / "bert", "bert")
    done = palate(
        "finetune", "--events", "shop", "--model", bert, "--rate", "0.002", "--epochs", 1, "--batch", 16,
        "--out", "own", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    ranked = done.json["ranked"]
    assert ranked["questions"] >= 30
    assert ranked["gain"]["low"] > 0.1, ranked
    assert make_encoder(done.json["encoder"]).encode(["film"]).shape == (1, 32)
