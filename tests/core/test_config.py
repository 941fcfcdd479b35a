import copy
import json
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phosphene.core.config import Configured, decode, encode, parameters_of, tagged
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event

EVENTS = st.one_of(
    st.builds(Event.binary, st.integers(1, 99)),
    st.builds(Event.image, st.integers(1, 4), st.integers(1, 32), st.integers(2, 300)),
    st.builds(Event.real, st.integers(1, 99)),
    st.builds(Event.tokens, st.integers(1, 9), st.integers(2, 9)),
)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)  # fmt: skip
SPECS = st.builds(ContextSpec, label=st.integers(2, 99), image=st.none() | EVENTS)
KEYS = st.text(min_size=1, max_size=8).filter(lambda key: key != "type")
VALUES = st.recursive(
    PLAIN | EVENTS | SPECS,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=25)
@given(VALUES)
def test_values_survive_json(value: Any) -> None:
    assert decode(json.loads(json.dumps(encode(value)))) == value


def test_lists_come_back_as_tuples() -> None:
    assert decode(encode({"hidden": [64, 64]})) == {"hidden": (64, 64)}


@pytest.mark.parametrize("value", [object(), torch.zeros(1), {1, 2}, lambda: None, Event])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="cannot be written as JSON"):
        encode(value)


def test_an_unknown_tag_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'Event'"):
        decode({"type": "Evnt", "kind": "binary"})


def test_a_tag_is_taken_once() -> None:
    with pytest.raises(AssertionError, match="taken"):
        tagged(Event)


class Brick(Configured):
    def __init__(self, event: Event, *, width: int = 8, name: str = "a") -> None:
        self.event = event


class Wall(Brick):
    def __init__(self, event: Event, *, bricks: int = 3) -> None:
        super().__init__(event, width=bricks)


class Module(Configured, torch.nn.Module):
    def __init__(self, *, width: int = 8) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(width, 1)


def test_the_arguments_are_recorded_with_defaults() -> None:
    event = Event.binary(3)
    assert Brick(event, width=5).config == {"event": event, "width": 5, "name": "a"}
    assert Brick(event=event).config == {"event": event, "width": 8, "name": "a"}


def test_a_subclass_records_its_own() -> None:
    event = Event.binary(3)
    assert Wall(event).config == {"event": event, "bricks": 3}


def test_configured_modules_copy_and_pickle() -> None:
    module = Module(width=3)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert twin.config == {"width": 3}
        assert torch.equal(twin.layer.weight, module.layer.weight)


def test_wrong_arguments_are_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="widht"):
        Brick(Event.binary(3), widht=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Brick()  # type: ignore[call-arg]


def test_settings_are_the_keyword_only_parameters() -> None:
    assert list(parameters_of(Brick.__init__)) == ["width", "name"]
    Brick.check_settings({"width": 3})
    with pytest.raises(UnknownNameError, match="did you mean 'width'") as caught:
        Brick.check_settings({"widht": 3})
    assert "Brick" in str(caught.value)
