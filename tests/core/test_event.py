import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phosphene.core.errors import EventError
from phosphene.core.event import Event
from tests.helpers.tiny import examples

EVENTS = [
    Event.binary(9),
    Event.image(1, 8, levels=2),
    Event.image(3, (4, 6)),
    Event.image(1, 4, levels=1024),
    Event.real(2),
    Event.tokens(6, 5),
    Event.audio(16),
]


def test_constructors_say_what_one_example_is() -> None:
    assert Event.image(3, (24, 32)).shape == (3, 24, 32)
    assert Event.image(3, 32).levels == 256
    assert Event.tokens(6, 5) == Event("tokens", (6,), 5)
    assert Event.audio(16).shape == (16,)
    assert Event.real(2, 3).dimensions == 6
    assert str(Event.image(1, 8, levels=17)) == "image 1x8x8, 17 levels"
    assert str(Event.real(2)) == "real 2"


def test_events_are_values() -> None:
    event = Event("image", [1, 8, 8], 2)  # type: ignore[arg-type]
    assert event == Event.image(1, 8, levels=2)
    assert hash(event) == hash(Event.image(1, 8, levels=2))
    with pytest.raises(AttributeError):
        event.levels = 3  # type: ignore[misc]


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_examples_are_in_the_support(event: Event) -> None:
    x = examples(event, 5)
    assert event.check(x) is x
    if event.discrete:
        for dtype in (torch.int64, torch.int32, torch.float32, torch.float64):
            event.check(x.to(dtype))


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_an_empty_batch_is_a_batch(event: Event) -> None:
    event.check(torch.zeros(0, *event.shape))


def test_bits() -> None:
    assert Event.image(1, 8, levels=17).bits == pytest.approx(math.log2(17))
    with pytest.raises(EventError, match="levels"):
        _ = Event.real(2).bits


@pytest.mark.parametrize(
    ("kind", "shape", "levels"),
    [
        ("binary", (0,), 2),
        ("image", (8, 8), 2),
        ("image", (1, 8, 8), 1),
        ("image", (1, 8, 8), None),
        ("real", (2,), 7),
        ("tokens", (3,), 0),
    ],
)
def test_impossible_events_are_refused(
    kind: str, shape: tuple[int, ...], levels: int | None
) -> None:
    with pytest.raises(EventError) as caught:
        Event(kind, shape, levels)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("event", "x", "says"),
    [
        (Event.binary(3), torch.zeros(4), "shape"),
        (Event.binary(3), torch.zeros(2, 4), "shape"),
        (Event.image(1, 2), torch.zeros(2, 2, 2), "shape"),
        (Event.binary(3), torch.full((1, 3), 2), "0..1"),
        (Event.binary(3), torch.full((1, 3), -1), "0..1"),
        (Event.image(1, 1), torch.full((1, 1, 1, 1), 256), "0..255"),
        (Event.image(1, 1), torch.full((1, 1, 1, 1), 0.5), "fractions"),
        (Event.binary(3), torch.full((1, 3), torch.nan), "NaN"),
        (Event.real(3), torch.full((1, 3), torch.nan), "NaN"),
        (Event.real(3), torch.full((1, 3), torch.inf), "infinite"),
    ],
    ids=lambda value: None if isinstance(value, torch.Tensor) else str(value),
)
def test_what_is_outside_the_support_is_refused(event: Event, x: torch.Tensor, says: str) -> None:
    with pytest.raises(EventError, match=says):
        event.check(x)


@given(st.integers(2, 300), st.integers(-400, 400))
def test_a_code_is_accepted_iff_it_is_in_range(levels: int, code: int) -> None:
    event = Event.image(1, 1, levels=levels)
    x = torch.full((1, 1, 1, 1), code)
    if 0 <= code < levels:
        event.check(x)
    else:
        with pytest.raises(EventError):
            event.check(x)
