from dataclasses import replace

import pytest
import torch

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import EventError
from phosphene.core.event import Event


def test_a_specification_names_its_parts() -> None:
    spec = ContextSpec(label=10, image=Event.image(1, 8))
    assert spec.names == ("label", "image")
    assert spec
    assert not ContextSpec()
    assert spec == ContextSpec(label=10, image=Event.image(1, 8))


def test_what_is_not_declared_is_left_out() -> None:
    assert ContextSpec().check(None, 4) == Context()
    given = Context(label=torch.tensor([7]), vector=torch.zeros(3, 2))
    assert ContextSpec().check(given, 4) == Context()
    kept = ContextSpec(label=8).check(given, 1)
    assert dict(kept.parts()).keys() == {"label"}


def test_labels_may_be_unknown() -> None:
    given = torch.tensor([-1, 0, 2])
    label = ContextSpec(label=3).check(Context(label=given), 3).label
    assert label is not None
    assert label.tolist() == [-1, 0, 2]
    told = ContextSpec(label=3).check(None, 2, unknown_label=True).label
    assert told is not None
    assert told.tolist() == [-1, -1]


def test_one_row_stands_for_all() -> None:
    spec = ContextSpec(label=3, vector=Event.real(2))
    one = Context(label=torch.tensor([2]), vector=torch.tensor([[1.0, 2.0]]))
    told = spec.check(replace(one, dropped=torch.tensor([True])), 4)
    for name, value in told.parts():
        assert len(value) == 4, name
        assert value.is_contiguous(), name
        assert bool((value == value[:1]).all()), name
    mixed = spec.check(replace(one, label=torch.tensor([0, 1, 2, 0])), 4)
    assert mixed.label is not None
    assert mixed.label.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_whole_numbers_of_any_size_are_labels(dtype: torch.dtype) -> None:
    label = ContextSpec(label=3).check(Context(label=torch.tensor([1, 2], dtype=dtype)), 2).label
    assert label is not None
    assert label.dtype == torch.int64
    assert label.tolist() == [1, 2]


def test_a_part_on_another_device_is_refused() -> None:
    context = Context(label=torch.tensor([0]))
    with pytest.raises(EventError, match="label lies on cpu and the model on meta"):
        ContextSpec(label=3).check(context, 1, torch.device("meta"))


@pytest.mark.parametrize(
    ("spec", "context", "says"),
    [
        (ContextSpec(label=3), None, "label"),
        (ContextSpec(label=3), Context(), "label"),
        (ContextSpec(label=3), Context(label=torch.tensor([3])), r"0\.\.2"),
        (ContextSpec(label=3), Context(label=torch.tensor([-2])), r"0\.\.2"),
        (ContextSpec(vector=Event.real(2)), Context(vector=torch.zeros(1, 3)), "shape"),
        (ContextSpec(text=Event.tokens(2, 5)), Context(text=torch.full((1, 2), 5)), r"0\.\.4"),
        (ContextSpec(label=3, image=Event.image(1, 2)), Context(label=torch.tensor([0])), "image"),
        (ContextSpec(label=3), Context(label=torch.tensor([1.0])), "whole numbers.*float32"),
        (ContextSpec(label=3), Context(label=torch.tensor([True])), "whole numbers.*bool"),
        (ContextSpec(label=3), Context(label=torch.zeros(1, 1, dtype=torch.long)), r"\(1, 1\)"),
        (ContextSpec(label=3), Context(label=torch.tensor(1)), r"\(n,\)"),
        (ContextSpec(label=3), Context(label=torch.tensor([0, 1])), "label has 2 rows for 4"),
        (ContextSpec(label=3), Context(label=torch.tensor([0] * 5)), "label has 5 rows for 4"),
        (ContextSpec(label=3), Context(label=torch.tensor([], dtype=torch.long)), "0 rows for 4"),
        (ContextSpec(vector=Event.real(2)), Context(vector=torch.zeros(3, 2)), "vector has 3 rows"),
        (
            ContextSpec(label=3),
            Context(label=torch.tensor([0]), dropped=torch.tensor([True, False])),
            "dropped has 2 rows for 4",
        ),
    ],
)
def test_a_wrong_context_is_refused(spec: ContextSpec, context: Context | None, says: str) -> None:
    with pytest.raises(EventError, match=says) as caught:
        spec.check(context, 4)
    assert "\n" not in str(caught.value)


def test_rows_are_taken_from_every_part() -> None:
    context = Context(label=torch.arange(4), vector=torch.randn(4, 2))
    cut = context[1:3]
    assert cut.label is not None
    assert cut.vector is not None
    assert context.vector is not None
    assert cut.label.tolist() == [1, 2]
    assert torch.equal(cut.vector, context.vector[1:3])
    assert cut.image is None
    picked = context[torch.tensor([3, 0])].label
    assert picked is not None
    assert picked.tolist() == [3, 0]


def test_repeat_keeps_an_examples_copies_together() -> None:
    label = Context(label=torch.tensor([5, 6])).repeat(2).label
    assert label is not None
    assert label.tolist() == [5, 5, 6, 6]


def test_dropping_is_by_the_numbers_given_and_never_undone() -> None:
    uniform = torch.tensor([0.0, 0.2, 0.9])
    once = Context(label=torch.arange(3)).drop(0.3, uniform)
    assert once.dropped is not None
    assert once.dropped.tolist() == [True, True, False]
    twice = once.drop(0.1, torch.tensor([0.5, 0.5, 0.05]))
    assert twice.dropped is not None
    assert twice.dropped.tolist() == [True, True, True]
    assert dict(once[:1].parts()).keys() == {"label", "dropped"}
