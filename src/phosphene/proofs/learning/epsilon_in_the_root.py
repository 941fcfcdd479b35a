"""AdaGrad and RMSProp: eps stands outside the root."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.learning.optimizers.adagrad import AdaGrad
from phosphene.learning.optimizers.rmsprop import RMSProp, root
from phosphene.proofs.proof import Proof, Wrong, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "AdaGrad: r <- r + g^2. RMSProp: r <- rho r + (1 - rho) g^2. Both: theta <- theta - lr g / "
    "(sqrt(r) + eps), with eps outside the root, as in torch. sqrt(r + eps), as in TensorFlow's "
    "RMSProp, is at r = 0 not eps but sqrt(eps): the same number means something else."
)
_LR, _EPS, _RHO = 0.05, 1e-3, 0.9


def prove(seed: int = 0, *, formula: Callable[[Tensor, float], Tensor] = root) -> Proof:
    """Take 100 steps with the divisor that is handed in, beside torch and our own.

    Duchi, Hazan and Singer (2011) for AdaGrad, Hinton (2012) for RMSProp.

    Args:
        seed: Of the gradients, of very different sizes.
        formula: The divisor from r and eps.

    Example:
        >>> prove().holds
        True
    """
    sizes = torch.logspace(-5, 1, 7, dtype=torch.float64)
    gradients = sizes * torch.randn(100, 7, generator=generator(seed), dtype=torch.float64)
    adagrad, rmsprop = (_path(gradients, formula, rho) for rho in (None, _RHO))
    rows = [
        equal(f"{name}: {who}, largest gap in 100 steps", _gap(gradients, path, make), 0, 1e-12)
        for name, path, who, make in (
            ("AdaGrad", adagrad, "torch", _torch_adagrad),
            ("AdaGrad", adagrad, "ours", _our_adagrad),
            ("RMSProp", rmsprop, "torch", _torch_rmsprop),
            ("RMSProp", rmsprop, "ours", _our_rmsprop),
        )
    ]
    nothing = torch.zeros((), dtype=torch.float64)
    rows.append(
        equal("the divisor at r = 0, in units of eps", formula(nothing, _EPS) / _EPS, 1, 1e-9)
    )
    return Proof("epsilon-in-the-root", "Where eps stands", _STATEMENT, rows)


def _path(
    gradients: Tensor, divisor: Callable[[Tensor, float], Tensor], rho: float | None
) -> Tensor:
    theta = r = torch.zeros(7, dtype=torch.float64)
    points = []
    for g in gradients:
        r = r + g * g if rho is None else rho * r + (1 - rho) * g * g
        theta = theta - _LR * g / divisor(r, _EPS)
        points.append(theta)
    return torch.stack(points)


def _gap(
    gradients: Tensor, path: Tensor, make: Callable[[list[Tensor]], torch.optim.Optimizer]
) -> float:
    p = torch.zeros(7, dtype=torch.float64, requires_grad=True)
    optimizer, worst = make([p]), 0.0
    for g, at in zip(gradients, path, strict=True):
        p.grad = g
        optimizer.step()
        worst = max(worst, float((p.detach() - at).abs().max()))
    return worst


def _torch_adagrad(params: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(params, lr=_LR, eps=_EPS)


def _our_adagrad(params: list[Tensor]) -> torch.optim.Optimizer:
    return AdaGrad(params, lr=_LR, eps=_EPS)


def _torch_rmsprop(params: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(params, lr=_LR, alpha=_RHO, eps=_EPS)


def _our_rmsprop(params: list[Tensor]) -> torch.optim.Optimizer:
    return RMSProp(params, lr=_LR, rho=_RHO, eps=_EPS)


def _inside(r: Tensor, eps: float) -> Tensor:
    return (r + eps).sqrt()


WRONG = Wrong("sqrt(r + eps): eps inside the root, as TensorFlow has it", {"formula": _inside})
