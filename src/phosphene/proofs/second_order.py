"""A convex autoregressive model has one optimum: second-order methods and Adam all find it."""

import math

import torch
from torch import Tensor

from phosphene import data
from phosphene.core.batch import Batch
from phosphene.core.event import Event
from phosphene.core.rng import generator
from phosphene.generative.autoregressive.fvsbn import FVSBN
from phosphene.proofs.proof import Proof, Wrong, below

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "For the fully visible belief network, -log p(x) = sum_i -log p(x_i | x_<i) is convex in all "
    "weights, D logistic regressions side by side; with a penalty l/2 |W|^2 it has one optimum. "
    "L-BFGS (Liu and Nocedal, 1989) on all examples ends where |gradient| < 1e-6; Adam on "
    "minibatches and D separate Newton iterations end at the same weights: |dNLL| < 1e-3."
)
_PENALTY = 0.05


def prove(seed: int = 0, epochs: int = 250, *, model: type[FVSBN] = FVSBN) -> Proof:
    """Minimize on the binary 8x8 digits in three ways.

    L-BFGS: Liu and Nocedal (1989). Newton's method on each regression by itself (iteratively
    reweighted least squares) shares no code with the model and is the independent witness.

    Args:
        seed: Seeds the minibatches.
        epochs: Of Adam.
        model: The belief network.
    """
    x = data.load("digits-binary", "train").x.flatten(1)
    # The bias of a pixel that is never lit lies at minus infinity, and that of a pixel lit a few
    # times is badly determined: the optimum is sought for the others.
    x = x[:, x.double().mean(0) > 0.02]
    event = Event.binary(x.shape[1])
    quasi, trace = _lbfgs(model, event, x)
    adam, noisy = _adam(model, event, x, epochs, seed)
    weight, bias = _newton(x.double())
    found = quasi.weight.detach().tril(-1)
    rows = [
        below("L-BFGS: norm of the gradient", _norm(quasi, x), 1e-6),
        below(
            "L-BFGS - Newton: largest difference of a weight", (found - weight).abs().max(), 1e-3
        ),
        below("L-BFGS - Newton: of a bias", (quasi.bias.detach() - bias).abs().max(), 1e-4),
        below("|NLL(Adam) - NLL(L-BFGS)|, nats", abs(_nll(adam, x) - _nll(quasi, x)), 1e-3),
        below("objective, L-BFGS - Adam", _objective(quasi, x) - _objective(adam, x), 0.0, 1e-9),
    ]
    best = _objective(quasi, x)
    figure = {
        "x": torch.arange(1, min(len(trace), len(noisy)) + 1),
        "L-BFGS, objective above the optimum by iteration": torch.tensor(trace) - best,
        "Adam, objective above the optimum by epoch": torch.tensor(noisy) - best,
    }
    figure = {name: values[: len(figure["x"])] for name, values in figure.items()}
    return Proof("second-order", "One optimum, by second order", _STATEMENT, rows, figure)


def _started(kind: type[FVSBN], event: Event, x: Tensor) -> FVSBN:
    """Started at the pixels' frequencies."""
    model = kind(event, penalty=_PENALTY).double()
    model.prepare(Batch.of(x))
    return model


def _lbfgs(kind: type[FVSBN], event: Event, x: Tensor) -> tuple[FVSBN, list[float]]:
    """The optimum, and the objective after every ten iterations."""
    model, trace = _started(kind, event, x), []
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=10,
        history_size=50,
        tolerance_grad=1e-9,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> float:
        optimizer.zero_grad()
        total = model.loss(Batch.of(x)).total
        total.backward()
        return float(total.detach())

    for _ in range(60):
        optimizer.step(closure)
        trace.append(_objective(model, x))
        if _norm(model, x) < 2e-7:  # rounding of the objective stops the line search there
            break
    return model, trace


def _adam(
    kind: type[FVSBN], event: Event, x: Tensor, epochs: int, seed: int
) -> tuple[FVSBN, list[float]]:
    model, trace = _started(kind, event, x), []
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        for rows in torch.randperm(len(x), generator=generator(seed, epoch)).split(325):
            optimizer.zero_grad()
            model.loss(Batch.of(x[rows])).total.backward()
            optimizer.step()
        schedule.step()
        trace.append(_objective(model, x))
    return model, trace


def _newton(x: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (D, D) and biases (D,) of D separate regressions, by Newton's method."""
    n, dimensions = x.shape
    weight = torch.zeros(dimensions, dimensions, dtype=x.dtype)
    bias = torch.zeros(dimensions, dtype=x.dtype)
    for i in range(dimensions):
        features = torch.cat([torch.ones(n, 1, dtype=x.dtype), x[:, :i]], 1)
        strength = torch.full((i + 1,), _PENALTY, dtype=x.dtype)
        strength[0] = 0.0  # biases are free
        theta = torch.zeros(i + 1, dtype=x.dtype)
        for _ in range(30):
            p = torch.sigmoid(features @ theta)
            gradient = features.T @ (p - x[:, i]) / n + strength * theta
            if float(gradient.abs().max()) < 1e-12:
                break
            hessian = (features.T * (p * (1 - p))) @ features / n + torch.diag(strength)
            theta = theta - torch.linalg.solve(hessian, gradient)
        bias[i], weight[i, :i] = theta[0], theta[1:]
    return weight, bias


def _norm(model: FVSBN, x: Tensor) -> float:
    gradient = torch.autograd.grad(model.loss(Batch.of(x)).total, list(model.parameters()))
    return math.sqrt(sum(float(g.square().sum()) for g in gradient))


def _objective(model: FVSBN, x: Tensor) -> float:
    with torch.no_grad():
        return float(model.loss(Batch.of(x)).total)


def _nll(model: FVSBN, x: Tensor) -> float:
    with torch.no_grad():
        return -float(model.log_prob(x).mean())


class _AsPrinted(FVSBN):
    def setup(self) -> None:
        """Conditionals see what comes after their own value."""
        super().setup()
        self.mask.copy_(torch.ones_like(self.mask).triu(1))


WRONG = Wrong(
    "sigmoid(b_i + sum_{j>i} W_ij x_j), as the notes print it: x_{>i} in the place of x_{<i}",
    {"model": _AsPrinted},
)
