"""Shared by all tests: one thread, short OpenMP spinning, seeds that do not depend on order."""

import os

# Before torch is imported: many test processes share few cores, and spinning threads starve them.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import random

import numpy as np
import pytest
import torch
from hypothesis import settings

from phosphene.catalog import System, systems
from phosphene.data.dataset import Dataset
from tests.families import families_of
from tests.helpers.tiny import tiny_digits, tiny_moons

settings.register_profile(
    "phosphene", deadline=None, max_examples=40, derandomize=True, database=None
)
settings.load_profile("phosphene")
torch.set_num_threads(1)


SLOW_FIRST = (
    "tests/distributed/",
    "tests/laws/",
    "tests/api/",
    "tests/cli/",
    "tests/bad_input/",
)
"""Folders whose files take longest: begun first, they leave small ones for the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    families = sorted({row.family for row in systems()})
    parser.addoption("--family", choices=families, help="only the tests that concern a family")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under ``--dist loadgroup`` a file's tests share a process, and with it their fixtures.

    The laws are one file and most of the suite: they are spread by system instead.
    """
    for item in items:
        group = item.nodeid.partition("::")[0]
        params = item.callspec.params if hasattr(item, "callspec") else {}
        row = getattr(params.get("case"), "row", params.get("row"))
        if group.startswith("tests/laws/") and isinstance(row, System):
            group = f"tests/laws-{row.name}"
        item.add_marker(pytest.mark.xdist_group(group))
    places = {folder: k for k, folder in enumerate(SLOW_FIRST)}
    items.sort(key=lambda i: places.get("/".join(i.nodeid.split("/")[:2]) + "/", len(places)))
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
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """Sixty-four binary 8x8 images in four classes that a small model can learn."""
    return tiny_digits()


@pytest.fixture(scope="session")
def moons() -> Dataset:
    """Real points in the plane with two labels."""
    return tiny_moons()
