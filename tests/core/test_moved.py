"""What moved says where it is."""

import importlib
from importlib.util import find_spec

import pytest

from phosphene.moved import _EMPTY, MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_refused_with_the_new_one(old):
    if old in _EMPTY:
        old += ".mean"
    with pytest.raises(ModuleNotFoundError, match=f"{old} is now phosphene"):
        importlib.import_module(old)


@pytest.mark.parametrize("new", sorted(set(MOVED.values())))
def test_the_new_place_is_there(new):
    assert find_spec(new) is not None


def test_what_never_was_is_missing_as_ever():
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module("phosphene.nothing")
