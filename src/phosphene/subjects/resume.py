"""How a run goes on: what it was is read from its folder, and what is said now must agree."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from phosphene.core.config import decode, encode
from phosphene.core.errors import RunError
from phosphene.core.paths import anchored
from phosphene.subjects.plan import Plan, Request, Subject, check_name, initialize, sort_overrides
from phosphene.train.checkpoint import latest_checkpoint
from phosphene.train.describing import allowance, build_from
from phosphene.train.files import refuse_links, size_of
from phosphene.train.folder import Run
from phosphene.train.record import read_json
from phosphene.train.settings import Budget

__all__ = ["check_same", "described", "has_checkpoint", "plan_resume", "recorded"]


def plan_resume(ask: Request, run: Run, record: dict[str, Any], opened: Subject) -> Plan:
    """Go on as recorded; only the budget may be another."""
    budget = Budget.parse(record["budget"] if ask.budget is None else ask.budget)
    record["budget"] = str(budget)
    settings = decode(record["train"])
    begun = not has_checkpoint(run)
    model = described(run) if ask.made is None else _same_model(run, ask)
    return Plan(
        model, opened, settings, budget, run.path, record,
        resume=not begun, begun=begun, made=ask.made, given=opened.given,
    )  # fmt: skip


def recorded(ask: Request) -> tuple[Run, dict[str, Any]]:
    """The run to go on with and its record; refuses settings that differ from it."""
    model, train = sort_overrides(ask)
    run = _named(ask.system, ask.name, ask.folder)
    refuse_links(run.path)
    record = dict(run.config)
    if record["system"] != ask.system:
        raise RunError(f"{str(run.path)!r} is a run of {record['system']!r}, not of {ask.system!r}")
    if run.weights and "stages" not in record and not has_checkpoint(run):
        raise RunError(
            f"{str(run.path)!r} has weights and no checkpoint to resume from; "
            f"--init-from {run.path} begins a new training with them"
        )
    _same(run, record["model"], model, "model")
    _same(run, record["train"], train, "train")
    return run, record


def _same_model(run: Run, ask: Request) -> Any:
    """The model that was handed over, if it is built as that of the run was."""
    assert ask.made is not None
    if encode(ask.made.config) != run.config["model"]:
        raise RunError(f"{str(run.path)!r} was trained with a {ask.system} of other settings")
    return ask.made


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


def described(run: Run) -> Any:
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
