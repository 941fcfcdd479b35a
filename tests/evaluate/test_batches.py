"""Work that is done in batches gives each example its own condition, in every batch.

All examples are told their number, as their value and as their label. A model that is asked of an
example under another's label says so; there are more examples than any batch holds.
"""

import pytest
import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss
from phosphene.data.dataset import Dataset
from phosphene.evaluate import views
from phosphene.evaluate.latents import encode
from phosphene.evaluate.likelihood import exact_log_prob, importance_weighted, likelihood
from phosphene.evaluate.scores.codes import against_prior
from phosphene.evaluate.scores.inverse import largest_error
from phosphene.evaluate.scores.reconstructions import reconstruction
from phosphene.evaluate.scores.samples import draw
from phosphene.evaluate.super_resolution import solutions
from phosphene.subjects.dataset.held_out import HeldOut
from phosphene.train.runtime import Runtime

N = 2500
"""More than two batches of any function that takes batches."""


class Aligned(Model):
    """Is perfect for an example under its own label, and useless under another's."""

    likelihood = "exact"

    def __init__(self) -> None:
        super().__init__(Event.real(1), context=ContextSpec(label=N))
        self.most = 0

    def _wrong(self, x: Tensor, context: Context | None) -> Tensor:
        assert context is not None
        assert context.label is not None
        assert len(x) == len(context.label)
        self.most = max(self.most, len(x))
        return (x[:, 0] - context.label).abs()

    def log_prob(self, x: Tensor, context: Context | None = None) -> Tensor:
        return -self._wrong(x, context)

    def elbo(
        self, x: Tensor, context: Context | None = None, *, particles: int = 1,
        generator: object = None,
    ) -> Tensor:  # fmt: skip
        return -self._wrong(x, context)

    def sample(
        self, n: int, context: Context | None = None, *, generator: object = None,
        temperature: float = 1.0,
    ) -> Tensor:  # fmt: skip
        assert context is not None
        assert context.label is not None
        assert len(context.label) == n
        return context.label[:, None].float()

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        return self._wrong(x, context)[:, None]

    def posterior(self, x: Tensor, context: Context | None = None) -> tuple[Tensor, Tensor]:
        assert float(self._wrong(x, context).max()) == 0, "a posterior given another's label"
        return torch.zeros(len(x), 2), torch.zeros(len(x), 2)

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        return x + self._wrong(x, context)[:, None]

    def inverse_error(self, x: Tensor, context: Context | None = None) -> Tensor:
        return self._wrong(x, context)

    def loss(self, batch: Batch) -> Loss:
        nll = self._wrong(batch.x, batch.context)
        return Loss(nll.mean(), {"nll": nll})


X = torch.arange(float(N))[:, None]
GIVEN = Context(label=torch.arange(N))
WRONG = {
    "exact_log_prob": lambda m: exact_log_prob(m, X, GIVEN),
    "importance_weighted": lambda m: importance_weighted(m, X, GIVEN, particles=2),
    "nll": lambda m: torch.tensor(likelihood(m, X, GIVEN, particles=2)["nll"].value),
    "elbo": lambda m: torch.tensor(likelihood(m, X, GIVEN, particles=2)["elbo"].value),
    "encode": lambda m: encode(m, X, GIVEN),
    "reconstruction": lambda m: torch.tensor(reconstruction(m, X, GIVEN)["mse"].value),
    "inverse_error": lambda m: torch.tensor(largest_error(m, X, GIVEN).value),
    "draw": lambda m: draw(m, N, GIVEN) - X,
    "draws": lambda m: views.draws(m, N, GIVEN) - X,
    "solutions": lambda m: solutions(m, GIVEN, N, temperature=1.0) - X,
    "validation": lambda m: torch.tensor(_judged(m)["loss"]),
}


def _judged(model: Model) -> dict[str, float]:
    held_out = Dataset(name="numbers", split="validation", event=model.event, x=X,
                       y=torch.arange(N), classes=tuple(map(str, range(N))))  # fmt: skip
    return HeldOut(held_out, 0, N)(model, Runtime("cpu"))


@pytest.mark.parametrize("name", WRONG)
def test_each_example_is_asked_of_under_its_own_label(name: str) -> None:
    assert float(WRONG[name](Aligned()).abs().max()) == 0.0


def test_codes_are_drawn_given_their_own_label() -> None:
    model = Aligned()
    against_prior(model, X, GIVEN, seed=0)
    assert model.most < N, "there is more than one batch"


def test_a_validation_mean_is_over_examples() -> None:
    """The last batch is smaller than the others, and counts for less."""

    class Uneven(Aligned):
        def loss(self, batch: Batch) -> Loss:
            return Loss(batch.x.mean(), {"x": batch.x[:, 0]})

    for n in (1, 499, 500, 501, 1250):
        held_out = Dataset(name="numbers", split="validation", event=Event.real(1), x=X[:n])
        told = HeldOut(held_out, 0, N)(Uneven(), Runtime("cpu"))
        assert told["loss"] == pytest.approx((n - 1) / 2)
        assert told["x"] == pytest.approx((n - 1) / 2)
    few = HeldOut(Dataset(name="n", split="validation", event=Event.real(1), x=X), 0, 700)
    assert few(Uneven(), Runtime("cpu"))["loss"] == pytest.approx(349.5)
