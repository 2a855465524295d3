"""``palate compress``: a smaller, faster encoder out of a larger one, judged, and refused where it loses too much."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args

import msgspec
import numpy as np
import typer

from palate.cli.console import JsonOption, LangOption, Out, row, table
from palate.cli.evidence import Evidence, gather
from palate.cli.finetune import base_of
from palate.cli.messages import say
from palate.cli.target import quoted
from palate.cli.translation import local
from palate.errors import ConfigError, InvalidInput
from palate.language import Encoder, make_encoder, textmodel
from palate.language.known import known
from palate.language.textmodel import TextModel
from palate.language.transformer import find_folder
from palate.types import F32

if TYPE_CHECKING:
    from palate.train.compress.judge import Cost, Quality, Verdict
    from palate.train.text.body import Body

Kind = Literal["int8", "static", "pruned", "layers"]
_WHAT = "Compressing a language model"


class Answer(msgspec.Struct):
    """What ``--json`` prints. out and encoder are '' where the model was refused and nothing was written."""

    out: str
    encoder: str
    model: str
    to: str
    limit: float
    before: Cost
    after: Cost
    quality: list[Quality]
    losses: dict[str, float]
    verdict: Verdict
    forced: bool
    details: dict[str, Any]


class _How(NamedTuple):
    kind: Kind
    width: int
    layers: int
    heads: float
    neurons: float
    minutes: float | None
    epochs: int
    seed: int


class _Source(NamedTuple):
    """encoder: the model as it is; folder: of its files, None for one that only encodes; about: of its text model."""

    encoder: Encoder
    folder: Path | None
    about: TextModel | None
    base: str


def compress(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A folder of palate finetune, minilm-fp32, a Hugging Face folder.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="int8|static|pruned|layers", help="What becomes of it.")] = "int8",
    target: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help="Where the result goes; default: MODEL-KIND.model.")
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", "-d", metavar="DIRECTORY", help="An engine, for its texts and to judge rankings by."),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", metavar="FILE", help="More texts, one a line, to learn from.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="The table that classes were learnt from, to judge by.")
    ] = None,
    text: Annotated[str, typer.Option("--text", metavar="COLUMN", help="The column with the texts.")] = "text",
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="The column with the labels.")] = "label",
    width: Annotated[int, typer.Option("--width", min=8, max=8192, help="Of the static student's vectors.")] = 256,
    layers: Annotated[int, typer.Option("--layers", min=1, max=1000, help="That --to layers keeps.")] = 3,
    heads: Annotated[
        float, typer.Option("--heads", min=0.0, max=0.95, help="Share of attention heads that --to pruned takes away.")
    ] = 0.25,
    neurons: Annotated[
        float, typer.Option("--neurons", min=0.0, max=0.95, help="Share of neurons that --to pruned takes away.")
    ] = 0.25,
    epochs: Annotated[int, typer.Option("--epochs", min=1, max=1000, help="Of pruned and layers, at most.")] = 3,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.01, help="For the learning of pruned and layers.")
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option("--limit", min=0.0, max=1.0, help="Most of the quality above chance that may be lost."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Keep it even if it loses more.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of what is kept out, and of order.")] = 1,
    json_: JsonOption = False,
    lang: LangOption = None,
) -> None:
    """Make an encoder smaller and faster, measure what that costs, and refuse one that loses too much.

    int8: weights of one byte. static: a vector a token, no network. pruned: fewer heads and neurons. layers: fewer
    layers. int8 may lose .05 of what is above chance, pruned and layers .1, static .25; when refused, exit code 1.

    [bold]Examples[/bold]

    palate compress reviews.model --to int8 --dir shop.palate

    palate compress minilm --to static --dir shop.palate --out small
    """
    from palate.train.compress.judge import LIMITS, refusal, speed

    out = Out(json_)
    kinds: tuple[Kind, ...] = get_args(Kind)
    if to not in kinds:
        raise InvalidInput(f"--to {to!r} is unknown: use {', '.join(kinds)}.", "--to")
    kind: Kind = kinds[kinds.index(to)]
    place = target if target is not None else Path(f"{Path(model).name.removesuffix('.model')}-{kind}.model")
    textmodel.check_target(place)
    _check_model(model, kind)
    evidence = gather(directory, corpus, csv, text, label, seed)
    how = _How(kind, width, layers, heads, neurons, minutes, epochs, seed)
    place.resolve().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.resolve().parent, prefix=".palate-") as work:
        source = _source(model, kind, Path(work))
        candidate = Path(work) / "candidate"
        with out.progress() as bars:
            made, details = _make(source, candidate, evidence, how, bars)
            encoder = make_encoder(f"{made.kind}:{candidate}")
            bars("judging", 0, 1)
            quality = _quality(source, encoder, candidate, evidence)
            sample = evidence.kept_out
            before = _cost(source, speed(source.encoder, sample))
            after = _cost(_Source(encoder, candidate, made, ""), speed(encoder, sample))
            bars("judging", 1, 1)
        most = LIMITS[kind] if limit is None else limit
        verdict = refusal(quality, most)
        figures = {
            "before": msgspec.to_builtins(before), "after": msgspec.to_builtins(after),
            "quality": msgspec.to_builtins(quality), **details,
        }  # fmt: skip
        keep = verdict.kept or force
        if keep:
            finished = msgspec.structs.replace(made, figures=figures)
            textmodel.write(place, finished, lambda partial: _copy(candidate, partial))
    path = str(place.resolve()) if keep else ""
    losses = {one.measure: round(one.loss, 4) for one in quality}
    out.result(
        Answer(
            path, f"{made.kind}:{path}" if keep else "", model, kind, most, before, after, quality, losses, verdict,
            keep and not verdict.kept, details,
        )
    )  # fmt: skip
    _show(out, before, after, quality)
    if not verdict.kept:
        out.say("compress.refused" if not keep else "compress.forced", why=local(verdict.why))
    if keep:
        out.say("compress.done", path=quoted(place), encoder=f"{made.kind}:{path}")
    else:
        raise typer.Exit(1)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(textmodel.FILE))


def _show(out: Out, before: Cost, after: Cost, quality: list[Quality]) -> None:
    made = table("", say("col.what"), *[(say(f"compress.{one}"), "right") for one in ("before", "after", "change")])
    times = after.texts_per_second / max(1e-9, before.texts_per_second)
    sizes = (
        (f"{before.mb:.1f}", f"{after.mb:.1f}", f"×{after.mb / before.mb:.2f}")
        if before.mb
        else ("?", f"{after.mb:.1f}", "")
    )
    row(made, "MB", *sizes)
    row(made, say("col.texts_s"), f"{before.texts_per_second:,.0f}", f"{after.texts_per_second:,.0f}", f"×{times:.1f}")
    for one in quality:
        row(
            made,
            say(f"compress.{one.measure}"),
            f"{one.before:.4f}",
            f"{one.after:.4f}",
            f"−{one.loss:.1%}".replace("−-", "+"),
        )
    out.show(made)


def _check_model(model: str, kind: Kind) -> None:
    """Whether there is such a model, before texts are read and libraries loaded.

    Errors: ``ConfigError``, ``MissingExtra``, ``InvalidInput``."""
    folder = Path(model).expanduser()
    if (folder / textmodel.FILE).is_file():
        if textmodel.read(folder).kind != "onnx":
            raise InvalidInput(f"{model} is a static student already: compress what it was made from.", "MODEL")
    elif _only_encodes(model, kind):
        make_encoder(model)
    elif folder.suffix.lower() == ".gguf":
        if not folder.is_file():
            raise ConfigError(f"There is no file {folder}.", "MODEL")
    else:
        find_folder(base_of(model))


def _only_encodes(model: str, kind: Kind) -> bool:
    """Whether ``model`` is an encoder by name, of which a student learns by asking."""
    folder = Path(model).expanduser()
    return kind == "static" and model != "minilm-fp32" and (known(model) is not None or not folder.is_dir())


def _source(model: str, kind: Kind, work: Path) -> _Source:
    folder = Path(model).expanduser()
    if (folder / textmodel.FILE).is_file():
        return _Source(make_encoder(f"onnx:{folder}"), folder, textmodel.read(folder), model)
    if _only_encodes(model, kind):
        return _Source(make_encoder(model), None, None, model)
    from palate.train.text.body import load_body
    from palate.train.text.libraries import load_torch
    from palate.train.text.save import save_model

    body = load_body(load_torch(_WHAT), base_of(model), 128, _WHAT)
    whole = work / "whole"
    about = save_model(whole, body, model, "export", {})
    return _Source(make_encoder(f"onnx:{whole}"), whole, about, model)


# ------------------------------------------------------------------------------------------------ to make and to judge


def _make(source: _Source, target: Path, evidence: Evidence, how: _How, bars: Any) -> tuple[TextModel, dict[str, Any]]:
    if how.kind == "static":
        return _static(source, target, evidence, how, bars)
    assert source.folder is not None
    assert source.about is not None
    folder, labels = source.folder, source.about.labels
    if how.kind == "int8":
        from palate.train.compress.quantise import quantise

        about = TextModel(
            kind="onnx", width=source.about.width, max_tokens=source.about.max_tokens, labels=labels, base=source.base,
            made="int8",
        )  # fmt: skip

        def fill(place: Path) -> None:
            bars("quantising", 0, 1)
            quantise(folder / textmodel.NETWORK, place / textmodel.NETWORK)
            for name in (textmodel.TOKENIZER, textmodel.HEAD):
                if (folder / name).is_file():
                    shutil.copy(folder / name, place / name)
            bars("quantising", 1, 1)

        return textmodel.write(target, about, fill), {}
    return _smaller(source, target, evidence, how, bars)


def _smaller(
    source: _Source, target: Path, evidence: Evidence, how: _How, bars: Any
) -> tuple[TextModel, dict[str, Any]]:
    from palate.train.compress.distil import DistilSettings, distil, fewer_layers
    from palate.train.compress.prune import importance, pruned
    from palate.train.text.body import load_body
    from palate.train.text.libraries import load_torch
    from palate.train.text.save import save_model

    assert source.about is not None
    body: Body = load_body(load_torch(_WHAT), str(source.folder), source.about.max_tokens, _WHAT)
    details: dict[str, Any] = {}
    if how.kind == "layers":
        student = fewer_layers(body, how.layers)
    else:
        found = importance(body, evidence.learn[:: max(1, len(evidence.learn) // 512)][:512], seed=how.seed)
        student = pruned(body, found, how.heads, how.neurons)
    taught, out = (body.vectors(body.tokens(texts)).numpy() for texts in (evidence.learn, evidence.kept_out))
    settings = DistilSettings(epochs=how.epochs, minutes=how.minutes, seed=how.seed)
    report = distil(taught, student, evidence.learn, evidence.kept_out, out, settings, bars)
    details["healing"] = msgspec.to_builtins(report)
    head = _head(source)
    return save_model(target, student, source.base, how.kind, details, source.about.labels, head), details


def _head(source: _Source) -> tuple[F32, F32] | None:
    import safetensors.numpy

    if source.folder is None or source.about is None or textmodel.HEAD not in source.about.files:
        return None
    arrays = safetensors.numpy.load(textmodel.checked_file(source.folder, textmodel.HEAD, source.about).read_bytes())
    return np.asarray(arrays["weights"], np.float32), np.asarray(arrays["bias"], np.float32)


def _static(
    source: _Source, target: Path, evidence: Evidence, how: _How, bars: Any
) -> tuple[TextModel, dict[str, Any]]:
    import safetensors.numpy

    from palate.train.compress.static import fit_static, learn_tokens, packed, tokens_of
    from palate.train.text.save import save_head

    tokenizer = tokens_of(source.base, source.folder)
    if tokenizer is None:
        tokenizer = learn_tokens(evidence.learn)
    student = fit_static(source.encoder, tokenizer, evidence.learn, evidence.kept_out, how.width, bars)
    head = _head(source)
    labels = source.about.labels if source.about is not None and head is not None else []
    about = TextModel(
        kind="static", width=student.vectors.shape[1], labels=labels, base=source.encoder.name, made="static"
    )

    def fill(place: Path) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.save(str(place / textmodel.TOKENIZER))
        (place / textmodel.TOKENS).write_bytes(safetensors.numpy.save(packed(student.vectors)))
        if head is not None:
            save_head(place, student.basis.T @ head[0], head[1])

    details = {"ridge": student.ridge, "cosine": round(student.cosine, 4), "tokens": len(student.vectors)}
    return textmodel.write(target, about, fill), details


def _quality(source: _Source, encoder: Encoder, candidate: Path, evidence: Evidence) -> list[Quality]:
    from palate.language.classes import load_classifier
    from palate.train.compress.judge import Quality, agreement

    before, after = source.encoder.encode(evidence.kept_out), encoder.encode(evidence.kept_out)
    found = [Quality("agreement", 1.0, agreement(before, after), 0.0)]
    probe = evidence.probe
    if probe is not None:
        from palate.evaluate.probe import judge

        values: list[float] = []
        for one in (source.encoder, encoder):
            vectors = one.encode(probe.texts)
            values.append(float(np.nanmean(judge(probe, vectors, vectors[:0]).auc)))
        found.append(Quality("ranking", values[0], values[1], 0.5))
    labels = source.about.labels if source.about is not None else []
    if evidence.asked and labels and source.folder is not None:
        if labels != evidence.names:
            raise InvalidInput(
                f"The model tells {', '.join(labels)}, and the table {', '.join(evidence.names)}.", "--csv"
            )
        shares = [load_classifier(place).probabilities(evidence.asked) for place in (source.folder, candidate)]
        right = [float((share.argmax(axis=1) == evidence.labels).mean()) for share in shares]
        common = float(np.bincount(evidence.labels).max() / len(evidence.labels))
        found.append(Quality("classes", right[0], right[1], common))
    return found


def _cost(source: _Source, rate: float) -> Cost:
    from palate.train.compress.judge import Cost

    return Cost(round(textmodel.size_mb(source.folder), 2) if source.folder is not None else 0.0, round(rate, 1))
