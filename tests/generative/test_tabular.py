"""The tabular model is the empirical joint, in as many numbers as there are states but one."""

import pytest
import torch

from phosphene.core.batch import Batch, Noise
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.generative.autoregressive.tabular import Tabular
from tests.laws.support import OneProcess, states_of


def _data(event: Event, n: int = 300) -> torch.Tensor:
    g = generator(0, n)
    x = torch.rand(n, event.dimensions, generator=g).square() * event.levels
    x[:, 1:] = torch.where(torch.rand(n, 1, generator=g) < 0.4, x[:, :1], x[:, 1:])
    return x.long().reshape(n, *event.shape)


@pytest.mark.parametrize("event", [Event.binary(8), Event.tokens(4, 5), Event.image(1, 3, 2)])
def test_maximum_likelihood_is_the_empirical_joint(event: Event) -> None:
    model, x = Tabular(event, smoothing=0.0).double(), _data(event)
    model.count(x)
    states = states_of(event)
    assert states is not None
    flat = x.flatten(1)
    joint = torch.stack([(flat == s.flatten()).all(1).double().mean() for s in states])
    assert float((model.log_prob(states).exp() - joint).abs().max()) <= 1e-15


@pytest.mark.parametrize("dimensions", range(1, 13))
def test_it_takes_all_states_but_one_numbers(dimensions: int) -> None:
    assert Tabular(Event.binary(dimensions)).free_parameters == 2**dimensions - 1


def test_codes_of_many_levels_and_classes_take_more_numbers() -> None:
    model = Tabular(Event.tokens(3, 4), context=ContextSpec(label=5))
    assert model.free_parameters == 5 * (4**3 - 1)


def test_smoothing_is_added_to_every_count() -> None:
    model = Tabular(Event.binary(1), smoothing=0.5).double()
    model.count(torch.tensor([[1], [1], [0]]))
    expected = torch.tensor([1.5 / 4, 2.5 / 4], dtype=torch.float64)
    found = model.log_prob(torch.tensor([[0], [1]])).exp()
    assert torch.allclose(found, expected, rtol=0, atol=1e-15)


def test_a_prefix_that_never_occurred_says_nothing() -> None:
    model = Tabular(Event.tokens(2, 4), smoothing=0.0)
    model.count(torch.tensor([[0, 1]]))
    p = model.conditionals(torch.tensor([[2, 0]]))[0].exp()
    assert p.tolist() == [[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]


def test_draws_of_the_maximum_likelihood_model_occurred() -> None:
    event = Event.binary(6)
    model, x = Tabular(event, smoothing=0.0), _data(event, 20)
    model.count(x)
    seen = {tuple(row) for row in x.tolist()}
    assert {tuple(row) for row in model.sample(200, generator=generator(1)).tolist()} <= seen


def test_training_counts_each_example() -> None:
    model, x = Tabular(Event.binary(5), smoothing=0.0), _data(Event.binary(5), 100)
    (phase,) = model.phases()
    for rows in (slice(0, 60), slice(60, 100)):
        assert phase.update is not None
        phase.update(Batch.of(x[rows]), OneProcess(0))
    other = Tabular(Event.binary(5), smoothing=0.0)
    other.count(x)
    assert torch.equal(model.counts, other.counts)


def test_two_ranks_count_as_one() -> None:
    """A rank is told means; what it adds is the sum all the same."""
    event = Event.binary(4)
    x = _data(event, 60)
    halves = [
        Batch(x[r], torch.arange(60)[r], Context(), Noise((0,), r.start, 30))
        for r in (slice(0, 30), slice(30, 60))
    ]
    tallies = [Tabular(event)._tally(b.x, Context()) for b in halves]

    class Rank(OneProcess):
        def all_reduce(self, value: torch.Tensor) -> torch.Tensor:
            return torch.tensor(0.5) if value.ndim == 0 else (tallies[0] + tallies[1]) / 2

    whole = Tabular(event)
    whole.count(x)
    for batch in halves:
        model = Tabular(event)
        update = model.phases()[0].update
        assert update is not None
        update(batch, Rank(0))
        assert torch.equal(model.counts, whole.counts)


def test_classes_have_tables_of_their_own() -> None:
    event = Event.binary(3)
    x = _data(event, 90)
    label = torch.arange(90) % 3 - 1  # a third of the labels is unknown
    model = Tabular(event, smoothing=0.0, context=ContextSpec(label=2)).double()
    model.count(x, Context(label=label))
    alone = Tabular(event, smoothing=0.0).double()
    alone.count(x[label == 1])
    ones = Context(label=torch.ones(90, dtype=torch.long))
    assert torch.equal(model.log_prob(x, ones), alone.log_prob(x))
    assert torch.allclose(model.log_prior.exp(), torch.tensor(0.5, dtype=torch.float64))


@pytest.mark.parametrize(
    "event", [Event.binary(13), Event.image(1, 8, 17), Event.real(2), Event.tokens(1, 5000)]
)
def test_events_without_tables_are_refused(event: Event) -> None:
    with pytest.raises(EventError, match="Tabular cannot model"):
        Tabular(event)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="smoothing must be at least 0"):
        Tabular(Event.binary(3), smoothing=-1.0)
    with pytest.raises(EventError, match="a label only"):
        Tabular(Event.binary(3), context=ContextSpec(vector=Event.real(2)))
