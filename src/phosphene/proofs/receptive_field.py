"""How far back a stack of dilated convolutions sees, measured by its gradients."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.layers.causal import receptive_field
from phosphene.generative.autoregressive.sequence import CausalSequence
from phosphene.generative.autoregressive.tcn import TCN
from phosphene.generative.autoregressive.wavenet import WaveNet
from phosphene.proofs.proof import Proof, Row, Wrong, equal

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "Stacked causal convolutions of kernel k and dilations d_l see RF = 1 + sum_l (k-1) d_l values "
    "back and none ahead: doubling dilations make RF grow exponentially with depth. Measured: the "
    "farthest value by which a conditional's gradient is not exactly 0."
)


def prove(
    seed: int = 0, *, formula: Callable[[int, Sequence[int]], int] = receptive_field
) -> Proof:
    """Differentiate the last conditional of WaveNets and TCNs by the whole sequence.

    The dilations are those of van den Oord et al. (2016c) and of Bai, Kolter and Koltun (2018).

    Args:
        seed: Seeds the weights and the sequence.
        formula: RF, of k and the dilations.

    Example:
        >>> prove().holds
        True
    """
    narrow = partial(WaveNet, channels=6, skip=6)
    long, short = Event.real(1100), Event.real(80)
    with seeded(seed):
        # Of each its kernel, its layers of one dilation after another, and how many have each.
        models: dict[str, tuple[CausalSequence, tuple[int, int, int]]] = {
            "WaveNet, k = 2, d = 1..512": (narrow(long, layers=10), (2, 10, 1)),
            "WaveNet, k = 2, d = 1..16 twice": (narrow(short, layers=5, stacks=2), (2, 5, 2)),
            "WaveNet, k = 3, d = 1..8": (narrow(short, layers=4, kernel=3), (3, 4, 1)),
            "TCN, k = 2, d = 1..8": (TCN(short, blocks=4, kernel=2, channels=16), (2, 4, 2)),
            "TCN, k = 4, d = 1..4": (TCN(short, blocks=3, kernel=4, channels=16), (4, 3, 2)),
        }
    rows: list[Row] = [equal("RF of k = 2, d = 1..512", formula(2, _doubling(10)), 1024, 0)]
    figure: dict[str, Tensor] = {}
    for name, (model, (kernel, layers, times)) in models.items():
        predicted = formula(kernel, _doubling(layers) * times)
        g = generator(seed, model.event.dimensions)
        by_lag = _sensitivity(model.double(), g)
        rows.append(equal(f"{name}: values seen", int(by_lag.nonzero().max()) + 1, predicted, 0))
        rows.append(equal(f"{name}: largest gradient by what comes after", _ahead(model, g), 0, 0))
        figure = figure or {"x": torch.arange(1, len(by_lag) + 1)}
        if len(by_lag) == len(figure["x"]):
            figure[f"{name}: gradient by the value so far back"] = by_lag
    return Proof("receptive-field", "Receptive fields", _STATEMENT, rows, figure)


def _doubling(layers: int) -> list[int]:
    return [2**i for i in range(layers)]


def _gradient(model: CausalSequence, at: int, g: torch.Generator) -> Tensor:
    """Gradient (D,) of random parameters of the conditional at one position."""
    torch.nn.init.normal_(model.output.weight, generator=g)  # it starts at zero
    x = torch.randn((1, model.event.dimensions), generator=g, dtype=model.dtype)
    params = model.conditionals(x.requires_grad_())[0, at]
    return torch.autograd.grad(params.sum(), x)[0][0]


def _sensitivity(model: CausalSequence, g: torch.Generator) -> Tensor:
    """|d params_D / d x_{D - lag}| for lag = 1, 2, ..."""
    return _gradient(model, -1, g)[:-1].flip(0).abs()


def _ahead(model: CausalSequence, g: torch.Generator) -> float:
    """The largest |d params_i / d x_j|, j >= i, for i in the middle."""
    middle = model.event.dimensions // 2
    return float(_gradient(model, middle, g)[middle:].abs().max())


WRONG = Wrong(
    "RF = 1 + sum_l k d_l: a kernel of k taps reaches back k - 1 steps, not k",
    {"formula": lambda kernel, dilations: 1 + kernel * sum(dilations)},
)
