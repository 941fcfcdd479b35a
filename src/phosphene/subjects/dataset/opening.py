"""Opens the data that a run was trained on.

A run folder may come from anybody. What it names is read as data; what it names to be imported, run
or fetched is left alone, unless the caller trusts the run or names the same thing himself.
"""

from contextlib import suppress
from dataclasses import replace

from phosphene.core.errors import EventError, PhospheneError, RunError
from phosphene.data.context_parts import as_table, load_given
from phosphene.data.dataset import Dataset
from phosphene.data.loading import located, outward, with_option
from phosphene.train.folder import Run

__all__ = ["arranged", "changed", "data_of"]


def data_of(run: Run, split: str) -> Dataset:
    """A split of the data of a run, or of what the caller put in their place.

    Raises:
        RunError: The run names what reads more than files of this machine, or was trained on a
            Dataset that only its maker has.
    """
    if isinstance(run.said, Dataset):
        return arranged(run, run.said)
    if run.said is None and run.config.get("own_data"):
        raise RunError(
            f"{str(run.path)!r} was trained on a Dataset of somebody's own, called {run.data!r}; "
            "say which data to take: --data on the command line, data= in Python"
        )
    name = _data(run)
    _check_trusted(run, name)
    if run.said is not None and (label := run.config.get("label_name")):
        with suppress(PhospheneError):  # data of another kind have their labels themselves
            name = with_option(name, "label", label)
    dataset = arranged(run, load_given(name, split, run.config.get("context")))
    dataset = replace(dataset, name=run.data)
    if split == "train" and run.said in (None, run.config.get("data")):
        run.notes += [text for text in (changed(run, dataset),) if text not in ("", *run.notes)]
    if run.said is not None and run.weights and dataset.event != run.model.event:
        raise EventError(
            f"{dataset.name!r} holds {dataset.event}; {str(run.path)!r} models {run.model.event}"
        )
    return dataset


def arranged(run: Run, dataset: Dataset) -> Dataset:
    """Data in the order that the run's model knows: columns and classes by their names."""
    record = run.config
    columns = record.get("columns", ()), record.get("vector_columns", ())
    return as_table(dataset, *columns, record.get("classes", ()))


def changed(run: Run, dataset: Dataset) -> str:
    """What to say of training examples that are not those that the run was trained on, or "".

    A run of before held out files by their number, and does not say what it was trained on.
    """
    record = run.config
    known, was = record.get("fingerprint"), record.get("examples")
    where = f"{run.data!r} has changed since {str(run.path)!r} was trained on it"
    if known is not None and known != dataset.fingerprint:
        count = "" if was is None else f" ({was:,} training examples then, {len(dataset):,} now)"
        return f"{where}{count}: examples that it was trained on may be scored as held out"
    if "directory" not in record and run.data.partition(":")[0] in ("folder", "wav", "webdataset"):
        return (
            f"{str(run.path)!r} was trained before files were held out by their names: examples "
            "that it was trained on may be scored as held out"
        )
    return ""


def _data(run: Run) -> str:
    """The name of the run's data, as it was understood where the run was made."""
    return run.said or located(run.data, run.config.get("directory"))


def _check_trusted(run: Run, name: str) -> None:
    """Refuse to follow a name that would run or fetch what somebody else chose.

    Raises:
        RunError: It says what to add where the run is trusted.
    """
    does = outward(name)
    if does and run.said is None and not run.trust:
        raise RunError(
            f"{str(run.path)!r} names {run.data!r}, which {does}: if you trust this run, add "
            "--trust (trust=True in Python), or name it yourself with --data"
        )
