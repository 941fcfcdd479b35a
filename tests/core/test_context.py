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


def test_nothing_declared_accepts_anything() -> None:
    assert ContextSpec().check(None) == Context()
    given = Context(label=torch.tensor([7]))
    assert ContextSpec().check(given) is given


def test_labels_may_be_unknown() -> None:
    given = Context(label=torch.tensor([-1, 0, 2]))
    assert ContextSpec(label=3).check(given) is given


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
    ],
)
def test_a_wrong_context_is_refused(spec: ContextSpec, context: Context | None, says: str) -> None:
    with pytest.raises(EventError, match=says) as caught:
        spec.check(context)
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
