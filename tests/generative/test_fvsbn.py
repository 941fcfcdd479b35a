"""The fully visible belief network is D logistic regressions, and convex."""

import math
from functools import cache

import pytest
import torch

from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.generative.autoregressive.fvsbn import FVSBN

PENALTY = 0.02


def _data(n: int = 300, dimensions: int = 8) -> torch.Tensor:
    """Bits that depend on their neighbors."""
    g = generator(0, n)
    x = torch.zeros(n, dimensions)
    for i in range(dimensions):
        logit = 3 * x[:, i - 1] - 1.5 + x[:, 0] if i else torch.zeros(n)
        x[:, i] = (torch.rand(n, generator=g) < torch.sigmoid(logit)).float()
    return x


def _objective(model: FVSBN, x: torch.Tensor) -> torch.Tensor:
    return model.loss(Batch.of(x)).total


@cache
def _best() -> FVSBN:
    """The penalized optimum, by L-BFGS on all examples."""
    x = _data()
    model = FVSBN(Event.binary(x.shape[1]), penalty=PENALTY).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=200,
        tolerance_grad=1e-8,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        loss = _objective(model, x)
        loss.backward()
        return float(loss.detach())

    optimizer.step(closure)
    return model


def test_lbfgs_reaches_a_point_without_gradient() -> None:
    x = _data()
    model = _best()
    grads = torch.autograd.grad(_objective(model, x), list(model.parameters()))
    assert math.sqrt(sum(float(g.square().sum()) for g in grads)) < 1e-6


def test_adam_on_minibatches_reaches_the_same_optimum() -> None:
    x = _data()
    best, model = _best(), FVSBN(Event.binary(x.shape[1]), penalty=PENALTY).double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 450)
    for epoch in range(150):
        for rows in torch.randperm(len(x), generator=generator(1, epoch)).split(100):
            optimizer.zero_grad()
            _objective(model, x[rows]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        assert abs(float(model.log_prob(x).mean() - best.log_prob(x).mean())) < 1e-3
        assert float(_objective(model, x) - _objective(best, x)) >= -1e-9


def test_it_equals_independent_logistic_regressions() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    x = _data()
    model, n = _best(), len(x)
    total = torch.zeros(n, dtype=torch.float64)
    for i in range(x.shape[1]):
        if i == 0:
            logit = torch.logit(x[:, 0].double().mean()).expand(n)
        else:
            peer = linear_model.LogisticRegression(C=1 / (PENALTY * n), tol=1e-10, max_iter=5000)
            peer.fit(x[:, :i].double().numpy(), x[:, i].double().numpy())
            logit = torch.from_numpy(peer.decision_function(x[:, :i].double().numpy()))
            coefficients = torch.from_numpy(peer.coef_[0])
            assert torch.allclose(model.weight[i, :i], coefficients, rtol=0, atol=1e-5)
        total -= torch.nn.functional.softplus(torch.where(x[:, i] > 0, -logit, logit))
    assert torch.allclose(model.log_prob(x), total, rtol=0, atol=1e-5)


def test_the_engine_takes_lbfgs(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from phosphene.api.train import train
    from phosphene.data.dataset import Dataset

    x = _data().to(torch.uint8)
    event = Event.binary(x.shape[1])
    splits = {s: Dataset(name="bits", split=s, event=event, x=x) for s in ("train", "validation")}
    run = train(
        "fvsbn",
        data=splits["train"],
        budget="30steps",
        folder=tmp_path,
        name="a",
        threads=1,
        model={"penalty": PENALTY},
        train={"optimizer": "lbfgs", "lr": 1.0, "batch_size": 300},
    )
    best = _best()
    trained = run.model
    assert isinstance(trained, FVSBN)
    with torch.no_grad():
        assert abs(float(trained.log_prob(x).mean() - best.log_prob(x).mean())) < 1e-3


def test_the_penalty_is_no_part_of_the_likelihood() -> None:
    x = _data(20)
    model = FVSBN(Event.binary(8), penalty=1.0)
    torch.nn.init.normal_(model.weight)
    training = model.loss(Batch.of(x))
    loss = model.eval().loss(Batch.of(x))
    assert torch.allclose(loss.total, -model.log_prob(x).mean())
    weight = model.weight.tril(-1)
    assert torch.allclose(training.total - loss.total, 0.5 * weight.square().sum(), atol=1e-4)


def test_logits_see_earlier_bits_only() -> None:
    model = FVSBN(Event.binary(6)).double()
    torch.nn.init.normal_(model.weight)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: model.conditionals(x[None])[0, :, 0], torch.zeros(6, dtype=torch.float64)
    )
    assert torch.equal(jacobian, model.weight.detach().tril(-1))


def test_classes_may_have_weights_of_their_own() -> None:
    """Each class is then a network by itself, and the model is their mixture."""
    x, label = _data(12), torch.arange(12) % 3
    whole = FVSBN(Event.binary(8), weights="per-class", context=ContextSpec(label=3)).double()
    for parameter in whole.parameters():
        torch.nn.init.normal_(parameter)
    assert whole.condition.map is not None
    joint = []
    for y in range(3):
        alone = FVSBN(Event.binary(8)).double()
        same = Context(label=torch.full((12,), y))
        with torch.no_grad():
            alone.weight.copy_(whole.weight[y])
            alone.bias.copy_(whole.bias + whole.condition(same)[0])
        joint.append(alone.log_prob(x))
        assert torch.allclose(whole.log_prob(x, same), joint[-1])
    table = torch.stack(joint, 1) + whole.log_prior
    assert torch.allclose(whole.log_prob(x), table.logsumexp(1))
    assert torch.allclose(whole.classify(x), table.log_softmax(1))
    given = whole.log_prob(x, Context(label=label))
    assert torch.allclose(given, torch.stack(joint, 1).gather(1, label[:, None])[:, 0])


def test_bad_input_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="per-class"):
        FVSBN(Event.binary(3), weights="per-clas")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="penalty must be at least 0"):
        FVSBN(Event.binary(3), penalty=-0.1)
    with pytest.raises(EventError, match="FVSBN cannot model"):
        FVSBN(Event.binary(3), context=ContextSpec(image=Event.image(1, 2)))
    with pytest.raises(EventError, match="it is for codes 0 and 1"):
        FVSBN(Event.image(1, 8, levels=17))
    with pytest.raises(EventError, match="codes must lie in"):
        FVSBN(Event.binary(3)).log_prob(torch.full((1, 3), 2))
