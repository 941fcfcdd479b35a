"""The run folder during a training: created, locked, and removed if no checkpoint was written."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phosphene.core.config import encode
from phosphene.core.errors import RunError
from phosphene.subjects.plan import Plan, check_name
from phosphene.train.checkpoint import latest_checkpoint
from phosphene.train.files import full, lock, write_atomically
from phosphene.train.runtime import Runtime

__all__ = ["claim", "folder_of_runs", "occupied", "write_record"]


@contextmanager
def occupied(plan: Plan, runtime: Runtime) -> Iterator[None]:
    """Hold the folder of a training, so that no other process writes into it.

    What is refused only once the training has begun (by the model, when it sees data; by an
    optimizer) leaves nothing behind: a new folder in which no checkpoint was written is taken away,
    and its name is free.

    Raises:
        RunError: The folder cannot be made, or another process holds it.
    """
    if not runtime.main:
        plan.where = Path(runtime.told(str(plan.where)))
        yield
        return
    new = not (plan.resume or plan.begun)
    try:
        if plan.unnamed:
            plan.where = claim(plan.where)
        plan.where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make the run folder {str(plan.where)!r}: {full(error)}") from None
    runtime.told(str(plan.where))  # each rank has a clock of its own
    with lock(plan.where):
        if new and (plan.where / "run.json").exists():
            raise RunError(
                f"the run folder {str(plan.where)!r} was made by another process meanwhile; choose "
                "another --name"
            )
        try:
            yield
        except BaseException:
            folders = (plan.where, *(plan.where / "stages").glob("*/"))
            if new and not any(latest_checkpoint(f / "checkpoint") for f in folders):
                shutil.rmtree(plan.where, ignore_errors=True)
            raise


def claim(where: Path) -> Path:
    """Make a folder of that name or, where others have it, of the name with a number behind it."""
    where.parent.mkdir(parents=True, exist_ok=True)
    for place in (where, *(where.with_name(f"{where.name}-{k}") for k in range(2, 10_000))):
        try:
            place.mkdir()
        except FileExistsError:
            continue
        return place
    raise RunError(f"the run folder {str(where)!r} exists; choose another --name")


@contextmanager
def folder_of_runs(folder: Path, name: str | None, otherwise: str) -> Iterator[Path]:
    """A folder for several runs: of a name that somebody chose, or one that nobody has.

    It is taken away again where nothing comes of it.

    Raises:
        RunError: There is one of that name, or it cannot be made.
    """
    where = folder / (otherwise if name is None else check_name(name))
    first = not folder.exists()
    try:
        if name is None:
            where = claim(where)
        else:
            where.mkdir(parents=True)
    except FileExistsError:
        raise RunError(f"the folder {str(where)!r} exists; choose another --name") from None
    except OSError as error:
        raise RunError(f"cannot make the folder {str(where)!r}: {full(error)}") from None
    try:
        yield where
    finally:
        if where.is_dir() and not any(where.iterdir()):
            where.rmdir()
        if first and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def write_record(plan: Plan) -> None:
    """Write ``run.json`` before all else: what is stopped from now on begins anew by --resume."""
    text = json.dumps(encode(plan.record), indent=2) + "\n"
    try:
        write_atomically(plan.where / "run.json", text)
        for part in ("model", "stages" if "stages" in plan.record else "checkpoint"):
            (plan.where / part).mkdir(exist_ok=True)
        if not plan.resume:
            plan.model.describe_to(plan.where / "model", plan.record["system"])
    except OSError as error:
        raise RunError(
            f"cannot write into the run folder {str(plan.where)!r}: {full(error)}"
        ) from None
