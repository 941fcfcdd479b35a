"""What guidance does to samples: more agreement with the condition, and less diversity."""

from collections.abc import Callable

import torch
from torch import Tensor

from phosphene.core.rng import generator
from phosphene.generative.diffusion.exact import Mixture
from phosphene.generative.diffusion.guidance import (
    ClassifierFree,
    ClassifierGuidance,
    Conditioned,
    Guidance,
)
from phosphene.generative.diffusion.level import Level
from phosphene.generative.diffusion.path import Cosine
from phosphene.generative.diffusion.samplers.ddim import ddim
from phosphene.generative.diffusion.samplers.table import Asked, run
from phosphene.generative.diffusion.target import Data, Target
from phosphene.proofs.proof import Proof, Wrong, above, below, equal

__all__ = ["CLASS", "WEIGHTS", "WHOLE", "WRONG", "Exact", "agreement", "guided", "prove"]

_STATEMENT = (
    "m = (1 + w) m_c - w m_u; w = 0 is the conditional model. On a mixture with its exact score, "
    "p(c | x) of samples rises with w and their variance falls: guidance buys agreement with "
    "diversity. What is sampled is not p(x | c)^(1 + w) / p(x)^w, whose score is that of guidance "
    "at t = 0 alone (Ho and Salimans, 2022)."
)
WHOLE = Mixture(
    torch.tensor([[-0.6, 0.0], [0.6, 0.0], [0.0, 0.9]], dtype=torch.float64),
    torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64),
)
CLASS = WHOLE.part(torch.tensor([0]))
"""The first of the three classes."""
WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)


class Exact:
    """The best estimates with the class known, and not."""

    target: Target = Data()

    def __call__(self, x: Tensor, level: Level[float]) -> Tensor:
        """With it."""
        return CLASS.estimate(x, level)

    def both(self, x: Tensor, level: Level[float]) -> tuple[Tensor, Tensor]:
        """With it, and without."""
        return CLASS.estimate(x, level), WHOLE.estimate(x, level)


def guided(guidance: Guidance, n: int = 4000, seed: int = 0, steps: int = 60) -> Tensor:
    """Samples (n, 2) of the first class under guidance, from the same noise for all."""
    x = torch.randn(n, 2, dtype=torch.float64, generator=generator(seed))
    return run(guidance.of(Exact()), x, ddim(Cosine().levels(steps)))


def agreement(x: Tensor) -> Tensor:
    """p(c | x) (n,) of the first class."""
    return WHOLE.log_joint(x).log_softmax(1)[:, 0].exp()


def prove(seed: int = 0, *, formula: Callable[[float], Guidance] = ClassifierFree) -> Proof:
    """Sample under a growing weight, and compare with the density that is often said to be meant.

    Args:
        seed: Of the noise.
        formula: Guidance of a weight.

    Example:
        >>> prove().holds
        True
    """
    found = [guided(formula(w), seed=seed) for w in WEIGHTS]
    agree = torch.stack([agreement(x).mean() for x in found])
    spread = torch.stack([x.var(0).sum() for x in found])
    plain = run(Exact(), guided_noise(seed), ddim(Cosine().levels(60)))
    by_class = guided(
        ClassifierGuidance(
            lambda x, at: WHOLE.log_joint(x, at.alpha, at.sigma).log_softmax(1)[:, 0], 2.0
        ),
        seed=seed,
    )
    mean, variance = _tilted(2.0)
    fine = guided(formula(2.0), seed=seed, steps=200)
    rows = [
        equal("w = 0 against the conditional model, worst", (found[0] - plain).abs().max(), 0, 0),
        above(f"least rise of p(c | x) over w in {WEIGHTS}", agree.diff().min(), 0),
        below("largest change of the variance", spread.diff().max(), 0),
        above("p(c | x) at w = 4 less that at w = 0", agree[-1] - agree[0], 0.1),
        below("variance at w = 4 over that at w = 0", spread[-1] / spread[0], 0.7),
        below(
            "w = 2 against guidance by the classifier's gradient, worst",
            (found[3] - by_class).abs().max(),
            1e-6,
        ),
        above(
            "w = 2: distance of the mean from that of p(x | c)^3 / p(x)^2",
            (fine.mean(0) - mean).norm(),
            0.2,
        ),
        below("w = 2: variance, over that of this density", fine.var(0).sum() / variance, 0.8),
    ]
    figure = {
        "x": torch.tensor(WEIGHTS),
        "p(c | x)": agree,
        "variance": spread,
    }
    return Proof("guidance", "Guidance", _STATEMENT, rows, figure)


def guided_noise(seed: int, n: int = 4000) -> Tensor:
    """The noise of :func:`guided`."""
    return torch.randn(n, 2, dtype=torch.float64, generator=generator(seed))


def _tilted(w: float) -> tuple[Tensor, Tensor]:
    """Mean and variance of p(x | c)^(1 + w) / p(x)^w, by a grid."""
    line = torch.linspace(-6, 4, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    share = ((1 + w) * CLASS.log_prob(grid) - w * WHOLE.log_prob(grid)).softmax(0)[:, None]
    mean = (share * grid).sum(0)
    return mean, (share * (grid - mean).square()).sum()


class _OfTheOtherConvention(ClassifierFree):
    """The weight is taken for s = 1 + w."""

    def mixed(self, told: Tensor, untold: Tensor) -> Tensor:
        """m = w m_c + (1 - w) m_u."""
        return torch.lerp(untold, told, self.weight)

    def of(self, network: Conditioned) -> Asked:
        """Guided, whatever the weight."""
        return lambda x, level: self.mixed(*network.both(x, level))


WRONG = Wrong(
    "m = w m_c + (1 - w) m_u: the convention s = 1 + w of other papers read as w, in which w = 0 "
    "forgets the condition",
    {"formula": _OfTheOtherConvention},
)
