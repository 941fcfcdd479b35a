"""How a run goes on: what it was is read from its folder, and what is said now must agree."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from phosphene.core.config import decode, encode
from phosphene.core.errors import RunError
from phosphene.core.model import Model
from phosphene.core.paths import anchored
from phosphene.data.conditioning import Conditions
from phosphene.data.dataset import Dataset
from phosphene.data.loading import located
from phosphene.evaluate.subject import changed, data_of
from phosphene.subjects.dataset.labelling import labelled_again
from phosphene.subjects.dataset.planning import (
    Plan,
    check_name,
    held_out_of,
    initialize,
    load_split,
    sort_overrides,
)
from phosphene.train.checkpoint import latest_checkpoint
from phosphene.train.describing import allowance, build_from
from phosphene.train.files import refuse_links, size_of
from phosphene.train.folder import Run
from phosphene.train.record import read_json
from phosphene.train.settings import Budget

__all__ = ["check_same", "described", "has_checkpoint", "plan_resume", "recorded"]


def plan_resume(
    system: str,
    *,
    data: str | Dataset | None,
    budget: str | None,
    name: str | None,
    folder: Path,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
    overrides: Mapping[str, Any],
    validation: str | Dataset | None = None,
    labels: int | None = None,
    context: str | Sequence[str] | None = None,
    trust: bool = False,
) -> Plan:
    """Go on as recorded; only the budget may be another."""
    model, train = sort_overrides(system, dict(model), dict(train), overrides)
    run, record = recorded(system, name, folder, model, train)
    named = data if isinstance(data, str) else None
    if named not in (None, record.get("data")):
        raise RunError(f"{str(run.path)!r} was trained on {record['data']!r}, not {named!r}")
    said = Conditions.parse(record["context"]) if record.get("context") else None
    if context is not None and (said is None or Conditions.parse(context) != said):
        raise RunError(
            f"{str(run.path)!r} was trained with context {record.get('context')}, not "
            f"{list(Conditions.parse(context).text)}: a run is resumed on what it began with"
        )
    if isinstance(data, Dataset):
        dataset = load_split(data, "train", said)
    else:
        dataset = data_of(Run(run.path, data=named, trust=trust), "train")
    if dataset.name != record["data"]:
        raise RunError(f"{str(run.path)!r} was trained on {record['data']!r}, not {dataset.name!r}")
    if not isinstance(data, Dataset) and (other := changed(run, dataset)):
        raise RunError(
            f"{other}; a run is resumed on what it began with, and --init-from {run.path} begins "
            "another one with its weights"
        )
    if labels not in (None, record.get("labels")):
        raise RunError(
            f"{str(run.path)!r} was trained with labels={record.get('labels')}, not {labels}: "
            "a run is resumed on the labels it began with"
        )
    if record.get("own_validation") and validation is None:
        raise RunError(f"{str(run.path)!r} was judged by a Dataset of your own: pass validation=")
    judged = validation
    if judged is None and record.get("validation") is not None:
        judged = located(record["validation"], record.get("directory"))
    told = record.get("labels") is None and record.get("labelled") is None
    place = record.get("directory")
    held_out, notes = held_out_of(dataset, data, judged, labelled=told, said=said, folder=place)
    whole = dataset
    dataset = labelled_again(dataset, record, str(run.path))
    if isinstance(data, Dataset) and record.get("fingerprint") not in (None, whole.fingerprint):
        raise RunError(
            f"{str(run.path)!r} was trained on a Dataset with other examples than this one"
        )
    spent = Budget.parse(record["budget"] if budget is None else budget)
    record["budget"] = str(spent)
    settings = decode(record["train"])
    begun = not has_checkpoint(run)
    return Plan(
        described(run), dataset, settings, spent, run.path, record, held_out,
        resume=not begun, begun=begun, notes=notes,
    )  # fmt: skip


def check_same(system: str, name: str | None, folder: Path, said: Mapping[str, object]) -> None:
    """Refuse to go on with what a run did not begin with; None is what nobody said.

    Raises:
        RunError: It names the first that differs, and what the run has.
    """
    run = _named(system, name, folder)
    for option, value in said.items():
        if value is None or (option == "precision" and value == "auto"):
            continue
        own = run.config.get(option)
        if option == "threads" and own is None:  # of a run with stages, each has its own
            continue
        if isinstance(value, Path):
            same = own is not None and _beside(run, str(own)).resolve() == value.resolve()
        else:
            same = own == value
        if not same:
            flag = {"init_from": "init-from", "first": "from"}.get(option, option)
            raise RunError(
                f"{str(run.path)!r} was begun {_with(flag, own)}, and is resumed so: leave "
                f"--{flag} out, or begin another run"
            )


def _with(flag: str, own: object) -> str:
    if own is None or own is False:
        return f"without --{flag}"
    return f"with --{flag}" if own is True else f"with --{flag} {own}"


def _beside(run: Run, path: str) -> Path:
    """A path that a run recorded, as it was understood where the run was made."""
    return Path(anchored(path, run.config.get("directory", "")))


def has_checkpoint(run: Run) -> bool:
    """Whether there is a checkpoint to go on from; without one, a training begins anew."""
    return latest_checkpoint(run.path / "checkpoint") is not None


def recorded(
    system: str,
    name: str | None,
    folder: Path,
    model: Mapping[str, Any],
    train: Mapping[str, Any],
) -> tuple[Run, dict[str, Any]]:
    """The run to go on with and its record; refuses settings that differ from it."""
    run = _named(system, name, folder)
    refuse_links(run.path)
    record = dict(run.config)
    if record["system"] != system:
        raise RunError(f"{str(run.path)!r} is a run of {record['system']!r}, not of {system!r}")
    if run.weights and "stages" not in record and not has_checkpoint(run):
        raise RunError(
            f"{str(run.path)!r} has weights and no checkpoint to resume from; "
            f"--init-from {run.path} begins a new training with them"
        )
    _same(run, record["model"], model, "model")
    _same(run, record["train"], train, "train")
    return run, record


def described(run: Run) -> Model:
    """The model of a run as it was built, before any training; from a run, where it began so."""
    record, source = run.config, str(run.path / "run.json")
    beside = run.path / "model" / "config.json"
    if beside.is_file() and read_json(beside).get("config") != record["model"]:
        raise RunError(f"{source} and {str(beside)!r} describe models of another architecture")
    sizes = [size_of(run.path / part) for part in ("checkpoint", "model", "stages")]
    model = build_from(
        {"schema": record["schema"], "system": record["system"], "config": record["model"]},
        source,
        most=allowance(max(sizes)) if has_checkpoint(run) else None,
        seed=record["seed"],
    )
    if record.get("init_from") is not None and not has_checkpoint(run):
        initialize(model, _beside(run, record["init_from"]))
    return model


def _named(system: str, name: str | None, folder: Path) -> Run:
    return Run(_latest(system, folder) if name is None else folder / check_name(name))


def _latest(system: str, folder: Path) -> Path:
    found = sorted(folder.glob("*/run.json"), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in found:
        with suppress(RunError):  # one that is damaged hides no other
            if Run(path.parent).config["system"] == system:
                return path.parent
    raise RunError(f"there is no run of {system!r} in {str(folder)!r} to resume")


def _same(run: Run, recorded: Mapping[str, Any], wanted: Mapping[str, Any], what: str) -> None:
    for name, value in wanted.items():
        if recorded.get(name) != encode(value):
            raise RunError(
                f"{str(run.path)!r} was trained with --{what}.{name.replace('_', '-')} "
                f"{recorded.get(name)}, not {value}: another architecture or schedule "
                "cannot be resumed"
            )
