"""Masked autoregressive flows against zuko, nflows and normflows: sampling, log-prob and backward.

    python -m benchmarks.masked_flows [--quick] [--json FILE]

The peers' weights are put into our layers, hidden units sorted by degree; densities, samples from
the same noise and gradients are compared before anything is timed. The peers invert a layer by D
passes of its whole network. Ours computes every hidden unit once, in torch and by the kernel.
Importing this module imports no peer.
"""

import importlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import Case, Row, Watch, arguments, installed, run_all, write_json
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.layers.autoregressive import MaskedAutoregressive
from phosphene.generative.flow.layers.transform import Composition
from phosphene.kernels.library import backend, forced
from phosphene.nn.masked import MaskedLinear
from phosphene.nn.monotone import Affine, FlooredAffine, Monotone
from phosphene.nn.spline import RationalQuadratic

__all__ = [
    "QUICK",
    "Size",
    "from_nflows",
    "from_zuko",
    "main",
    "nflows_layer",
    "sampling",
    "training",
    "zuko_flow",
]

PEERS = ("zuko", "nflows", "normflows")
_BINS = 8
_SLOPE = 1e-3
_TOLERANCE = 2e-5


@dataclass(frozen=True)
class Size:
    """How much work each table is.

    Args:
        sampled: Dimensions, hidden units of both layers and samples of each affine flow.
        splines: The same of each flow of splines, whose peers take seconds for few samples.
        trained: Dimensions, hidden units, layers and batch of each flow.
        rounds: Measurements of each case.
        slow: Measurements of cases whose peer takes seconds.
    """

    sampled: tuple[tuple[int, int, int], ...] = ((64, 256, 256), (256, 512, 256), (784, 512, 64))
    splines: tuple[tuple[int, int, int], ...] = ((64, 256, 256), (256, 512, 64), (784, 512, 16))
    trained: tuple[tuple[int, int, int, int], ...] = (
        (64, 256, 3, 256),
        (256, 512, 3, 256),
        (784, 512, 3, 100),
    )
    rounds: int = 5
    slow: int = 1


QUICK = Size(
    sampled=((64, 256, 256),), splines=((64, 256, 64),), trained=((256, 512, 3, 256),), rounds=3
)


# -- the same weights ---------------------------------------------------------------------------


def _imported(module: str) -> Any:
    return importlib.import_module(module)


def zuko_flow(
    dimensions: int, hidden: Sequence[int], *, spline: bool = False, layers: int = 1
) -> Any:
    """Zuko's flow, its orders reversed from layer to layer."""
    zuko = _imported("zuko")
    kind = zuko.flows.NSF if spline else zuko.flows.MAF
    options = {"bins": _BINS} if spline else {}
    with seeded(5):
        return kind(dimensions, 0, transforms=layers, hidden_features=tuple(hidden), **options)


def from_zuko(flow: Any) -> Composition:
    """Our layers with the weights of zuko's flow."""
    parts = [part for part in flow.transform.modules() if hasattr(part, "hyper")]
    return Composition([_from_zuko_layer(part) for part in parts])


def _from_zuko_layer(part: Any) -> MaskedAutoregressive:
    linears = [(p.weight * p.mask, p.bias) for p in part.hyper if hasattr(p, "mask")]
    limit = -math.log(_SLOPE)
    h: Monotone = Affine(limit)
    if part.total > 2:
        exact = {"min_width": 0.0, "min_height": 0.0, "min_slope": 0.0}
        h = RationalQuadratic(_BINS, 5.0, slopes="exp", limit=limit, **exact)
    order = part.order.argsort()
    first, *middle, (weight, bias) = linears
    into = [(first[0][:, order], first[1]), *middle]
    by_rank = (order[:, None] * part.total + torch.arange(part.total)).flatten()
    return _layer(h, order, [*into, (weight[by_rank], bias[by_rank])])


def nflows_layer(dimensions: int, hidden: int, *, spline: bool, library: str = "nflows") -> Any:
    """One layer of nflows or normflows without residual blocks, two layers of hidden units."""
    options: dict[str, Any]
    if library == "nflows":
        kinds = _imported("nflows.transforms.autoregressive")
        affine = kinds.MaskedAffineAutoregressiveTransform
        splines = kinds.MaskedPiecewiseRationalQuadraticAutoregressiveTransform
        options = {"num_blocks": 1}
    else:
        affine = _imported("normflows.flows").MaskedAffineAutoregressive
        kinds = _imported("normflows.flows.neural_spline.autoregressive")
        splines = kinds.MaskedPiecewiseRationalQuadraticAutoregressive
        # Its first layer has no activation, so that this is two hidden layers too.
        options = {"num_blocks": 2}
    options |= {"use_residual_blocks": False}
    with seeded(5):
        if not spline:
            return affine(dimensions, hidden, **options)
        if library == "normflows":
            options |= {"init_identity": False}
        return splines(
            dimensions, hidden, num_bins=_BINS, tails="linear", tail_bound=5.0, **options
        )


@torch.no_grad()
def from_nflows(layer: Any, library: str = "nflows", *, reverse: bool = False) -> Any:
    """Our layer with the weights of theirs; a first linear layer without activation is folded."""
    net = layer.autoregressive_net
    parts = [net.initial_layer, *(block.linear for block in net.blocks), net.final_layer]
    linears = [(part.weight * part.mask, part.bias) for part in parts]
    dimensions = linears[0][0].shape[1]
    weight, bias = linears[-1]
    if len(bias) == 2 * dimensions:
        h: Monotone = FlooredAffine("softplus", offset=0.0)
        if library == "normflows":
            h = FlooredAffine("sigmoid", offset=2.0)
        # They give scale and shift, ours shift and scale.
        linears[-1] = tuple(t.unflatten(0, (-1, 2)).flip(1).flatten(0, 1) for t in (weight, bias))
    else:
        h = RationalQuadratic(_BINS, 5.0, offset=0.0)
    if library == "normflows":
        (w0, b0), (w1, b1), *rest = linears
        linears = [(w1 @ w0, w1 @ b0 + b1), *rest]
    order = torch.arange(dimensions)
    return _layer(h, order.flip(0) if reverse else order, linears)


@torch.no_grad()
def _layer(
    h: Monotone, order: Tensor, linears: Sequence[tuple[Tensor, Tensor]]
) -> MaskedAutoregressive:
    """A layer with masked weights and biases by rank, hidden units put in order of degree."""
    *hidden, (head, head_bias) = linears
    dimensions = len(order)
    layer = MaskedAutoregressive(
        dimensions, h, hidden=[len(bias) for _, bias in hidden], order=order
    ).to(head.dtype)
    sees, columns = torch.arange(1, dimensions + 1), torch.arange(dimensions)
    for i, ((weight, bias), target) in enumerate(zip(hidden, layer.net.layers, strict=True)):
        assert isinstance(target, MaskedLinear)
        weight = weight[:, columns]
        degrees = ((weight != 0) * sees).amax(1)
        rows = torch.argsort(degrees, stable=True)
        target.weight.copy_(weight[rows])
        target.bias.copy_(bias[rows])
        getattr(layer.net, f"degrees{i}").copy_(degrees[rows])
        columns, sees = rows, degrees[rows]
    layer.net.head.weight.copy_(head[:, columns])
    layer.net.head.bias.copy_(head_bias)
    for part, mask in zip((*layer.net.layers, layer.net.head), layer.net.masks(0), strict=True):
        assert not (part.weight * ~mask).any(), "the masks do not agree"
    return layer


# -- the tables ---------------------------------------------------------------------------------


def sampling(size: Size) -> Iterator[Case]:
    """Samples from the same noise, of one layer, affine and of splines."""
    flows = [(False, *one) for one in size.sampled] + [(True, *one) for one in size.splines]
    for spline, dimensions, hidden, n in flows:
        z = torch.randn(n, dimensions, generator=generator(6))
        kind = "spline-MAF" if spline else "MAF"
        what = f"{kind} sampling, D={dimensions}, hidden {hidden}-{hidden}, {n} samples"
        for library in filter(installed, PEERS):
            theirs, ours = _inverses(library, dimensions, hidden, spline)
            rounds = size.slow if dimensions > 64 else size.rounds
            for choice, name in (("off", "torch"), ("auto", "native")):
                if name == "torch" or backend().library is not None:
                    yield _sampled(f"{what}, {name}", library, theirs, ours, z, choice, rounds)


Inverse = Callable[[Tensor], Tensor]


def _inverses(library: str, dimensions: int, hidden: int, spline: bool) -> tuple[Inverse, Inverse]:
    if library == "zuko":
        peer = zuko_flow(dimensions, (hidden, hidden), spline=spline)
        return lambda z: peer().transform.inv(z), from_zuko(peer).inverse
    layer = nflows_layer(dimensions, hidden, spline=spline, library=library)
    return lambda z: layer.inverse(z)[0], from_nflows(layer, library).inverse


def _sampled(
    name: str, peer: str, theirs: Inverse, ours: Inverse, z: Tensor, choice: str, rounds: int
) -> Case:
    @torch.no_grad()
    def run_theirs(watch: Watch | None = None) -> Tensor:
        return theirs(z)

    @torch.no_grad()
    def run_ours(watch: Watch | None = None) -> Tensor:
        with forced(choice):
            return ours(z)

    def check() -> float:
        x, y = run_ours(), run_theirs()
        worst = float((x - y).abs().max() / y.abs().max().clamp(min=1.0))
        assert worst < _TOLERANCE, f"ours and the peer's differ by {worst}"
        assert float((x - z).abs().max()) > 0.1, "the flow does nothing"
        return worst

    return Case(name, peer, check, run_theirs, run_ours, rounds)


def training(size: Size, *, spline: bool = False) -> Iterator[Case]:
    """Mean log-density and all gradients, of several layers in orders that are reversed."""
    for dimensions, hidden, layers, n in size.trained:
        x = torch.randn(n, dimensions, generator=generator(7))
        kind = "spline-MAF" if spline else "MAF"
        what = (
            f"{kind} log-prob + backward, D={dimensions}, {layers} x {hidden}-{hidden}, batch {n}"
        )
        for library in filter(installed, ("zuko", "nflows")):
            peer, log_prob, ours = _densities(library, dimensions, hidden, layers, spline)
            yield _trained(what, library, peer, log_prob, ours, x, size.rounds)


def _densities(
    library: str, dimensions: int, hidden: int, layers: int, spline: bool
) -> tuple[nn.Module, Callable[[Tensor], Tensor], Composition]:
    if library == "zuko":
        peer = zuko_flow(dimensions, (hidden, hidden), spline=spline, layers=layers)
        return peer, lambda x: peer().log_prob(x), from_zuko(peer)
    transforms = _imported("nflows.transforms")
    each = [nflows_layer(dimensions, hidden, spline=spline) for _ in range(layers)]
    parts = [part for layer in each for part in (layer, transforms.ReversePermutation(dimensions))]
    base = _imported("nflows.distributions.normal").StandardNormal([dimensions])
    flow = _imported("nflows.flows.base").Flow(transforms.CompositeTransform(parts), base)
    ours = [from_nflows(layer, reverse=i % 2 == 1) for i, layer in enumerate(each)]
    return flow, flow.log_prob, Composition(ours)


def _trained(
    name: str,
    peer: str,
    module: nn.Module,
    log_prob: Callable[[Tensor], Tensor],
    ours: Composition,
    x: Tensor,
    rounds: int,
) -> Case:
    constant = 0.5 * x.shape[1] * math.log(2 * math.pi)

    def run_theirs(watch: Watch | None = None) -> Tensor:
        return _backward(module, -log_prob(x).mean())

    def run_ours(watch: Watch | None = None) -> Tensor:
        z, log_det = ours(x)
        return _backward(ours, (0.5 * z.square().sum(1) - log_det).mean() + constant)

    def check() -> float:
        """The losses, and the norms of all gradients, which do not depend on units' order."""
        a, b = run_ours(), run_theirs()
        norms = [_norm(m) for m in (ours, module)]
        pairs = (float(a), float(b)), (float(norms[0]), float(norms[1]))
        worst = max(abs(p - q) / max(1.0, abs(q)) for p, q in pairs)
        assert worst < 1e-4, f"ours and the peer's differ by {worst}: {pairs}"
        return worst

    return Case(name, peer, check, run_theirs, run_ours, rounds, bound=())


def _backward(module: nn.Module, loss: Tensor) -> Tensor:
    for p in module.parameters():
        p.grad = None
    loss.backward()
    return loss.detach()


def _norm(module: nn.Module) -> Tensor:
    grads = [p.grad.square().sum() for p in module.parameters() if p.grad is not None]
    return torch.stack(grads).sum().sqrt()


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Masked autoregressive flows against zuko, nflows, normflows", argv)
    torch.set_num_threads(1)
    size = QUICK if options.quick else Size()
    print(f"kernels: {backend().name} ({backend().why})")

    def cases() -> Iterator[Case]:
        yield from sampling(size)
        yield from training(size)
        yield from training(size, spline=True)

    rows = run_all(cases(), size.rounds, PEERS)
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()
