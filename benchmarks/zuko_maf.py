"""One layer of a masked autoregressive flow against zuko's: the same weights, the same noise.

zuko inverts a masked autoregressive transform by D passes of the whole network. Ours computes every
hidden unit once. Importing this module does not import zuko.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import Case, Watch
from phosphene.core.rng import generator, seeded
from phosphene.kernels.library import backend
from phosphene.kernels.masked import Head, MaskedArrays, masked_sample
from phosphene.nn.masked import IncrementalMLP, MaskedMLP, SortedMLP

__all__ = ["cases", "inverse_native", "inverse_torch", "peer_of", "transplant"]

PEER = "zuko"
_LIMIT = -math.log(1e-3)
"""zuko bounds log-scales softly: s / (1 + |s| / limit)."""
_TOLERANCE = 1e-5


def peer_of(dimensions: int, hidden: int) -> Any:
    """Zuko's flow of one transform, with weights that make its values depend on each other."""
    import zuko

    with seeded(5):
        return zuko.flows.MAF(dimensions, 0, transforms=1, hidden_features=(hidden, hidden))


@torch.no_grad()
def transplant(peer: Any) -> MaskedMLP:
    """Our masked network with the weights of the peer's, its hidden units ordered by degree.

    The peer leaves the shift and log-scale of a dimension next to each other, as ours do.
    """
    transform = next(part for part in peer.transform.modules() if hasattr(part, "hyper"))
    *layers, head = [layer for layer in transform.hyper if hasattr(layer, "mask")]
    widths = [len(layer.weight) for layer in layers]
    ours = MaskedMLP(layers[0].weight.shape[1], widths, 2)
    sees = torch.arange(1, ours.dimensions + 1)  # the degree from which a unit may see an input
    columns = torch.arange(ours.dimensions)
    for i, (layer, target) in enumerate(zip(layers, ours.layers, strict=True)):
        degrees = (layer.mask[:, columns] * sees).amax(1)
        order = torch.argsort(degrees, stable=True)
        target.weight.copy_((layer.weight * layer.mask)[order][:, columns])
        target.bias.copy_(layer.bias[order])
        getattr(ours, f"degrees{i}").copy_(degrees[order])
        columns, sees = order, degrees[order]
    ours.head.weight.copy_((head.weight * head.mask)[:, columns])
    ours.head.bias.copy_(head.bias)
    for layer, mask in zip((*ours.layers, ours.head), ours.masks(0), strict=True):
        assert not (layer.weight * ~mask).any(), "the masks do not agree"
    return ours


@torch.no_grad()
def inverse_torch(net: MaskedMLP, z: Tensor) -> Tensor:
    """Solve z_k = shift_k(x_<k) + x_k exp(s_k(x_<k)) for x, one value after another."""
    run, x = IncrementalMLP(net, len(z)), torch.empty_like(z)
    for k in range(net.dimensions):
        shift, s = run.next(x[:, k - 1 : k] if k else None).unbind(1)
        x[:, k] = (z[:, k] - shift) * torch.exp(-s / (1.0 + s.abs() / _LIMIT))
    return x


@torch.no_grad()
def inverse_native(net: MaskedMLP, z: Tensor) -> Tensor:
    """The same by the kernel."""
    w = SortedMLP.of(net, masked=False)
    arrays = MaskedArrays(w.weights, w.biases, w.known, w.head, w.head_bias.detach(), w.direct)
    return masked_sample(arrays, Head("affine", _LIMIT), z, z)


def cases(sizes: tuple[tuple[int, int, int], ...], rounds: int | None = None) -> Iterator[Case]:
    """Sampling for each (D, hidden, samples), in torch and by the kernel."""
    for dimensions, hidden, n in sizes:
        peer = peer_of(dimensions, hidden)
        net = transplant(peer)
        z = torch.randn(n, dimensions, generator=generator(6))
        what = f"MAF sampling, D={dimensions}, hidden {hidden}-{hidden}, {n} samples"
        ways = [("torch", inverse_torch)]
        if backend().library is not None:
            ways.append(("native", inverse_native))
        for name, way in ways:
            yield _case(f"{what}, {name}", peer, net, z, way, rounds)


def _case(
    name: str,
    peer: Any,
    net: MaskedMLP,
    z: Tensor,
    way: Callable[[MaskedMLP, Tensor], Tensor],
    rounds: int | None,
) -> Case:
    @torch.no_grad()
    def theirs(watch: Watch) -> Tensor:
        x: Tensor = peer().transform.inv(z)
        return x

    def check() -> float:
        x, y = way(net, z), theirs(Watch())
        worst = float((x - y).abs().max() / y.abs().max().clamp(min=1.0))
        assert worst < _TOLERANCE, f"ours and the peer's differ by {worst}"
        assert float((x - z).abs().max()) > 0.1, "the flow does nothing"
        return worst

    return Case(name, PEER, check, theirs, lambda watch: way(net, z), rounds)
