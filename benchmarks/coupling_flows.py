"""Coupling flows of vectors against zuko and nflows: log-density and all its gradients.

The peers' weights are put into our layers; densities and the gradient of every parameter are
compared before anything is timed. Networks are multilayer perceptrons of two hidden layers on all
sides, masks take every second dimension in turns. Importing this module imports no peer.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common import Case, Watch, installed
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.flow import Flow
from phosphene.generative.flow.layers.conditioner import VectorConditioner
from phosphene.generative.flow.layers.coupling import VectorCoupling
from phosphene.generative.flow.layers.transform import Composition
from phosphene.nn.monotone import Affine, FlooredAffine, Monotone
from phosphene.nn.spline import RationalQuadratic

__all__ = ["cases", "nflows_pair", "zuko_pair"]

PEERS = ("zuko", "nflows")
_BINS = 8
_BOUND = 5.0
_SLOPE = 1e-3
_TOLERANCE = 2e-5

Pairs = list[tuple[nn.Parameter, nn.Parameter, Tensor]]
"""Our parameter, the peer's, and which row of the peer's each of our rows is."""


class Coupled:
    """A flow of ours and a peer's with the same weights.

    Args:
        flow: Ours.
        module: The peer's.
        log_prob: The peer's density.
        pairs: Which parameter is which.
    """

    def __init__(
        self, flow: Flow, module: nn.Module, log_prob: Callable[[Tensor], Tensor], pairs: Pairs
    ) -> None:
        self.flow, self.log_prob, self.pairs = flow, log_prob, pairs
        # An optimizer has its list of parameters: finding them is not timed.
        self.own, self.other = list(flow.parameters()), list(module.parameters())
        with torch.no_grad():
            for own, other, rows in pairs:
                own.copy_(other[rows])

    def ours(self, x: Tensor) -> Tensor:
        """A step of ours without its optimizer: the loss and all gradients."""
        return _backward(self.own, -self.flow.log_prob(x).mean())

    def theirs(self, x: Tensor) -> Tensor:
        """The peer's."""
        return _backward(self.other, -self.log_prob(x).mean())

    def agreement(self, x: Tensor) -> float:
        """Largest difference of losses, densities and gradients, relative where they exceed 1."""
        with torch.no_grad():
            found = [(self.flow.log_prob(x), self.log_prob(x))]
        found.append((self.ours(x), self.theirs(x)))
        for own, other, rows in self.pairs:
            assert own.grad is not None
            assert other.grad is not None
            found.append((own.grad, other.grad[rows]))
        worst = max(float((a - b).abs().max() / b.abs().max().clamp(min=1)) for a, b in found)
        assert worst < _TOLERANCE, f"ours and the peer's differ by {worst}"
        with torch.no_grad():
            z, _ = self.flow.forward_and_log_det(x)
        assert float((z - x).abs().max()) > 0.1, "the flow does nothing"
        return worst


def _backward(parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
    for p in parameters:
        p.grad = None
    loss.backward()
    return loss.detach()


def _flow(dimensions: int, masks: Sequence[Tensor], monotone: Monotone, hidden: int) -> Flow:
    """Ours; the mask says what is moved."""
    flow = Flow(Event.real(dimensions))
    couplings = []
    for mask in masks:
        moved = int(mask.sum())
        network = VectorConditioner(
            dimensions - moved, (hidden, hidden), monotone.size * moved, activation="relu"
        )
        couplings.append(VectorCoupling(mask, monotone, network))
    flow.build(Composition(couplings))
    return flow


def _pairs(coupling: nn.Module, linears: Sequence[nn.Module], rows: Tensor) -> Pairs:
    """The layers of a coupling's network beside the peer's, whose last has its own order."""
    network = coupling.get_submodule("conditioner")
    assert isinstance(network, VectorConditioner)
    own = [*network.layers, network.head]
    found = []
    for i, (ours, theirs) in enumerate(zip(own, linears, strict=True)):
        at = rows if i == len(own) - 1 else torch.arange(len(theirs.get_parameter("bias")))
        for name in ("weight", "bias"):
            found.append((ours.get_parameter(name), theirs.get_parameter(name), at))
    return found


def _by_dimension(moved: int, size: int) -> Tensor:
    """Rows of a head that gives dimension by dimension, where ours gives parameter by parameter."""
    return torch.arange(moved * size).view(moved, size).T.flatten()


def zuko_pair(dimensions: int, hidden: int, layers: int, *, spline: bool) -> Coupled:
    """Zuko's RealNVP, or its general coupling of splines."""
    flows = importlib.import_module("zuko.flows")
    options: dict[str, Any] = {"transforms": layers, "hidden_features": (hidden, hidden)}
    monotone: Monotone = Affine(-math.log(_SLOPE))
    if spline:
        transform = importlib.import_module("zuko.transforms").MonotonicRQSTransform
        shapes = [(_BINS,), (_BINS,), (_BINS - 1,)]
        options |= {"univariate": partial(transform, bound=_BOUND), "shapes": shapes}
        monotone = RationalQuadratic(
            _BINS, _BOUND, min_width=0.0, min_height=0.0, min_slope=0.0, slopes="exp",
            limit=-math.log(_SLOPE),
        )  # fmt: skip
    with seeded(5):
        peer = (flows.NICE if spline else flows.RealNVP)(dimensions, 0, **options)
    parts = [part for part in peer.transform.modules() if hasattr(part, "hyper")]
    flow = _flow(dimensions, [~part.mask for part in parts], monotone, hidden)
    pairs = []
    for coupling, part in zip(_couplings(flow), parts, strict=True):
        linears = [layer for layer in part.hyper if hasattr(layer, "weight")]
        pairs += _pairs(coupling, linears, _by_dimension(int((~part.mask).sum()), monotone.size))
    return Coupled(flow, peer, lambda x: peer().log_prob(x), pairs)


def _couplings(flow: Flow) -> Composition:
    assert isinstance(flow.transform, Composition)
    return flow.transform


class _Network(nn.Module):
    """A perceptron as nflows asks for one: it is given a context, and has none."""

    def __init__(self, inputs: int, outputs: int, hidden: int) -> None:
        super().__init__()
        widths = [inputs, hidden, hidden, outputs]
        self.layers = nn.ModuleList(map(nn.Linear, widths[:-1], widths[1:]))

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        *hidden, head = self.layers
        for layer in hidden:
            x = F.relu(layer(x))
        out: Tensor = head(x)
        return out


def nflows_pair(dimensions: int, hidden: int, layers: int, *, spline: bool) -> Coupled:
    """Couplings of nflows, affine or of splines."""
    transforms = importlib.import_module("nflows.transforms")
    create = partial(_Network, hidden=hidden)
    masks = [torch.arange(dimensions) % 2 == i % 2 for i in range(layers)]
    with seeded(5):
        if spline:
            options = {"num_bins": _BINS, "tails": "linear", "tail_bound": _BOUND}
            kind = transforms.PiecewiseRationalQuadraticCouplingTransform
            parts = [kind(mask.int(), create, **options) for mask in masks]
        else:
            parts = [transforms.AffineCouplingTransform(mask.int(), create) for mask in masks]
    base = importlib.import_module("nflows.distributions.normal").StandardNormal([dimensions])
    peer = importlib.import_module("nflows.flows.base").Flow(
        transforms.CompositeTransform(parts), base
    )
    monotone: Monotone = (
        RationalQuadratic(_BINS, _BOUND, offset=0.0)
        if spline
        else FlooredAffine("sigmoid", floor=1e-3, offset=2.0)
    )
    flow = _flow(dimensions, masks, monotone, hidden)
    pairs = []
    for coupling, part, mask in zip(_couplings(flow), parts, masks, strict=True):
        moved = int(mask.sum())
        rows = _by_dimension(moved, monotone.size) if spline else torch.arange(2 * moved)
        pairs += _pairs(coupling, part.transform_net.layers, rows)
    return Coupled(flow, peer, peer.log_prob, pairs)


def cases(sizes: Sequence[tuple[int, int, int, int]], rounds: int | None = None) -> Iterator[Case]:
    """Log-density and backward, for each (dimensions, hidden, couplings, batch)."""
    makers = {"zuko": zuko_pair, "nflows": nflows_pair}
    for dimensions, hidden, layers, n in sizes:
        x = torch.randn(n, dimensions, generator=generator(7))
        for spline in (False, True):
            kind = "spline coupling" if spline else "RealNVP"
            work = f"D={dimensions}, {layers} x {hidden}-{hidden}, batch {n}"
            for peer in filter(installed, PEERS):
                both = makers[peer](dimensions, hidden, layers, spline=spline)
                yield _case(f"{kind} log-prob + backward, {work}", peer, both, x, rounds)


def _case(name: str, peer: str, both: Coupled, x: Tensor, rounds: int | None) -> Case:
    def theirs(watch: Watch) -> Tensor:
        return both.theirs(x)

    def ours(watch: Watch) -> Tensor:
        return both.ours(x)

    return Case(name, peer, lambda: both.agreement(x), theirs, ours, rounds, bound=())
