"""Shared by all tests: one thread, short OpenMP spinning, seeds that do not depend on order."""

import os

# Before torch is imported: many test processes share few cores, and spinning threads starve them.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings

from phosphene.catalog import systems
from phosphene.data.dataset import Dataset
from tests.families import families_of
from tests.helpers.tiny import tiny_digits, tiny_moons

settings.register_profile(
    "phosphene", deadline=None, max_examples=40, derandomize=True, database=None
)
settings.load_profile("phosphene")
torch.set_num_threads(1)


SLOW_FIRST = (
    "distributed",
    "laws",
    "api",
    "cli",
    "bad_input",
    "decision",
    "train",
    "benchmarks",
)
"""Folders whose files take longest: begun first, they leave small ones for the end."""

NAMES = sorted((row.name for row in systems()), key=len, reverse=True)


def group_of(nodeid: str) -> str:
    """What stays in one process: a file, whose fixtures are shared, or a system's laws.

    The laws are one file and most of the suite: they are spread by system, which begins their ids.
    """
    file, _, test = nodeid.partition("::")
    case = test.partition("[")[2]
    if not file.startswith("tests/laws/"):
        return file
    return next((f"laws of {name}" for name in NAMES if case.startswith(f"{name}-")), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out groups in the order of collection, under ``--dist loadscope``.

    Marks of ``xdist_group`` would have to be written into the ids of tests, where not every
    version of pytest reads them again.
    """
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    families = sorted({row.family for row in systems()})
    parser.addoption("--family", choices=families, help="only the tests that concern a family")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow folders first; of tests only those of a family, if one is asked for."""
    places = {folder: k for k, folder in enumerate(SLOW_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.split("/")[1], len(places)))
    family = config.getoption("--family")
    if family is not None:
        out = [item for item in items if family not in families_of(item)]
        items[:] = [item for item in items if family in families_of(item)]
        config.hook.pytest_deselected(items=out)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """A test must not depend on which tests ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global state is what is being pinned
    torch.default_generator.manual_seed(0)  # torch.manual_seed formats a traceback three times


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """Sixty-four binary 8x8 images in four classes that a small model can learn."""
    return tiny_digits()


@pytest.fixture(scope="session")
def moons() -> Dataset:
    """Real points in the plane with two labels."""
    return tiny_moons()
