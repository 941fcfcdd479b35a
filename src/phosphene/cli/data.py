"""``phosphene data``: list the data sets, or describe one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import note, print_json, print_table
from phosphene.cli.parsing import parse

if TYPE_CHECKING:
    from pathlib import Path

    from phosphene.data.dataset import Dataset


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """List the data sets, or describe one: a name, or an adapter such as folder:./photos.

    Args:
        name: A data set; without a name, they are listed.
        list: List all data sets, which is also what happens without a name.
        json: Print JSON.
        out: Write a picture of some examples to this PNG file.
        split: train, validation or test.
    """

    name: Positional[Annotated[str, arg(metavar="NAME", help_behavior_hint="")]] = ""
    list: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False
    out: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    split: Annotated[str, arg(metavar="SPLIT")] = "train"


def main(argv: Sequence[str]) -> int:
    """List the data sets, or describe one."""
    arguments = parse(Arguments, argv, "phosphene data")
    if arguments.list or not arguments.name:
        _list(arguments.json)
    else:
        _describe(arguments)
    return 0


def _list(json: bool) -> None:
    from dataclasses import asdict

    from phosphene.data.table import names

    rows = names()
    if json:
        print_json([{k: v for k, v in asdict(row).items() if k != "target"} for row in rows])
        return
    print_table(
        ("data", "what it is", "one example", "train / validation / test", "licence"),
        [
            (r.name, r.title, r.event, " / ".join(f"{n:,}" for n in r.examples), r.licence)
            for r in rows
        ],
        optional=("licence", "train / validation / test"),
    )


def _describe(arguments: Arguments) -> None:
    from phosphene.data import load
    from phosphene.train.files import destination, replacing

    dataset = load(arguments.name, arguments.split)
    facts = _of_table(dataset, arguments.name) if dataset.columns else _facts(dataset)
    if arguments.out is not None:
        out = destination(arguments.out, (".png",))
        with replacing(out) as aside:
            _draw(dataset, aside)
        facts["picture"] = str(out)
    if arguments.json:
        print_json(facts)
        return
    print_table(
        (arguments.name, ""),
        [
            (key, "\n".join(map(str, value)) if isinstance(value, list) else str(value))
            for key, value in facts.items()
            if value not in (None, [], "")
        ],
    )
    if arguments.out is None and dataset.event.kind != "tokens":
        note("--out FILE.png writes a picture of it")


def _of_table(dataset: "Dataset", name: str) -> dict[str, Any]:
    """What is said of a table: its columns one by one, and how many rows each split has."""
    from phosphene.core.errors import PhospheneError
    from phosphene.data import load

    sizes = []
    for split in ("train", "validation", "test"):
        try:
            sizes.append(f"{len(load(name, split)):,}")
        except PhospheneError:
            sizes.append("none")
    moments = dataset.moments
    assert moments is not None
    parts = (moments.mean, moments.std, moments.low, moments.high)
    every = zip(dataset.columns, *(part.tolist() for part in parts), strict=True)
    columns = [
        f"{n}: mean {_digits(m)}, sd {s:.4g}, {_digits(a)} … {_digits(b)}, "
        f"{len(dataset.x[:, i].unique()):,} values"
        for i, (n, m, s, a, b) in enumerate(every)
    ]
    facts, more = _facts(dataset), {"train / validation / test": " / ".join(sizes)}
    for key in ("range", "mean"):
        del facts[key]
    return {**facts, **more, "columns": columns, "label": dataset.label_name}


def _digits(value: float) -> str:
    """As many digits as tell apart what lies far from 0."""
    return f"{value:.12g}" if abs(value) >= 1e6 else f"{value:.5g}"


def _draw(dataset: "Dataset", out: "Path") -> None:
    """Write a picture of some examples, each beside the image that conditions it."""
    if dataset.columns:
        from phosphene.evaluate.table_plots import table_picture

        table_picture({"": dataset.x}, dataset.columns).save(out, format="PNG")
        return
    from phosphene.core.event import Event
    from phosphene.evaluate.data_kind import picture
    from phosphene.evaluate.pictures import picture_of_pairs

    if (
        dataset.image is not None
        and dataset.image_event is not None
        and dataset.event.has_image_shape
    ):
        x, image = dataset.x[:32], dataset.image[:32]
        picture_of_pairs(image, dataset.image_event, x, dataset.event).save(out, format="PNG")
        return
    plane = dataset.event == Event.real(2)
    series = dataset.event.kind in ("audio", "real") and not plane
    shown = dataset.x[: 2000 if plane else 8 if series else 64]
    picture(shown, dataset.event).save(out, format="PNG")


def _facts(dataset: "Dataset") -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": dataset.name,
        "split": dataset.split,
        "examples": len(dataset),
        "event": str(dataset.event),
        "condition": dataset.image_event and str(dataset.image_event),
        "range": [float(dataset.x.min()), float(dataset.x.max())],
        "mean": round(float(dataset.x.float().mean()), 4),
        "classes": list(dataset.classes),
        "factors": list(dataset.factor_names),
        "density": "known" if dataset.log_prob is not None else None,
        "sample rate": dataset.sample_rate and f"{dataset.sample_rate} Hz",
        "first example": _read(dataset),
        "notes": list(dataset.notes),
    }
    if dataset.y is not None and dataset.classes:
        known = dataset.y[dataset.y >= 0]
        counts = known.bincount(minlength=len(dataset.classes)).tolist()
        facts["classes"] = [
            f"{name}: {n:,}" for name, n in zip(dataset.classes, counts, strict=True)
        ]
        if len(known) < len(dataset):
            facts["without label"] = len(dataset) - len(known)
    return facts


def _read(dataset: "Dataset") -> str | None:
    """The first example as text, where it is text."""
    if dataset.tokenizer is None:
        return None
    from phosphene.evaluate.formatting import legible

    return legible(dataset.tokenizer.decode(dataset.x[0]))
