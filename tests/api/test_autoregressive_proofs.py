"""What the proofs of this family would not notice by themselves."""

import pytest
import torch

from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.generative.autoregressive.fvsbn import FVSBN
from phosphene.proofs import generative_classifier, second_order, teacher_forcing

_NAMES = ("FVSBN", "MADE")


@pytest.mark.parametrize("seed", [1, 2])
def test_teacher_forcing_holds_for_any_seed(seed: int) -> None:
    proof = teacher_forcing.prove(seed=seed, steps=5)
    assert proof.holds
    for name in _NAMES:
        assert sum(row["quantity"].startswith(name) for row in proof.rows) >= 3


def test_a_model_that_peeks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conditionals that see their own value cannot be drawn from step by step."""

    def peek(self: FVSBN, x: torch.Tensor, *args: object, **settings: object) -> torch.Tensor:
        flat = x.flatten(1).to(self.dtype)
        return (honest(self, x, *args, **settings)[..., 0] + flat)[..., None]

    honest = FVSBN.conditionals
    monkeypatch.setattr(FVSBN, "conditionals", peek)
    proof = teacher_forcing.prove(steps=2)
    failed = [row["quantity"] for row in proof.rows if not row["holds"]]
    assert any("parallel" in quantity for quantity in failed)


def test_newton_agrees_with_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    g = generator(0)
    x = (torch.rand(200, 5, generator=g) < torch.rand(200, 1, generator=g)).double()
    weight, bias = second_order._newton(x)
    strength = 1 / (second_order._PENALTY * len(x))
    for i in range(1, 5):
        peer = linear_model.LogisticRegression(C=strength, tol=1e-10, max_iter=2000)
        peer.fit(x[:, :i].numpy(), x[:, i].numpy())
        assert torch.allclose(weight[i, :i], torch.from_numpy(peer.coef_[0]), rtol=0, atol=1e-5)
        assert abs(float(bias[i]) - peer.intercept_[0]) < 1e-5
    assert float(weight.triu().abs().max()) == 0.0


def test_too_few_epochs_of_adam_do_not_reach_the_optimum() -> None:
    rows = {row["quantity"]: row for row in second_order.prove(epochs=2).rows}
    assert rows["L-BFGS: norm of the gradient"]["holds"]
    assert not rows["|NLL(Adam) - NLL(L-BFGS)|, nats"]["holds"]


def test_an_untrained_classifier_fails() -> None:
    """One step is not enough; what is exact stays exact."""
    rows = generative_classifier.prove(steps=1).rows
    assert not rows[0]["holds"]
    assert all(row["holds"] for row in rows[1:4])


def test_the_marginal_needs_the_prior() -> None:
    model = FVSBN(Event.binary(4), weights="per-class", context=generative_classifier._LABELS)
    torch.nn.init.normal_(model.weight)
    model = model.double()
    x, y = torch.randint(2, (12, 4), generator=generator(1)), torch.arange(12) % 10
    assert all(row["holds"] for row in generative_classifier._marginal(model, x, y))
    before = model.log_prob(x)
    model.log_prior.copy_(torch.linspace(-5, 0, 10).log_softmax(0))
    assert all(row["holds"] for row in generative_classifier._marginal(model, x, y))
    assert not torch.allclose(before, model.log_prob(x))
    given = Context(label=y)
    assert torch.isfinite(model.log_prob(x, given)).all()
