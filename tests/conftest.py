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

from phosphene.data.dataset import Dataset
from tests.helpers.tiny import tiny_digits, tiny_moons

settings.register_profile(
    "phosphene", deadline=None, max_examples=40, derandomize=True, database=None
)
settings.load_profile("phosphene")
torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under ``--dist loadgroup`` a file's tests share a process, and with it their fixtures.

    The laws are one file and most of the suite: they are spread by system instead.
    """
    for item in items:
        group = item.nodeid.partition("::")[0]
        case = getattr(item, "callspec", None)
        if case is not None and "case" in case.params:
            group = f"{group}-{case.params['case'].row.name}"
        item.add_marker(pytest.mark.xdist_group(group))


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
