"""Glow against normflows' on 1x32x32: the same weights, the same function, the same optimizer.

Both are levels of [squeeze, K steps of activation normalisation, 1x1 convolution and affine
coupling] with plain splits and a learned diagonal normal below. normflows couples by
z = (x - t) exp(-s), which a function of the couplings here takes over. Importing this module does
not import normflows.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import Case, Watch
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.glow import Glow
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.conditioner import ImageConditioner
from phosphene.generative.flow.layers.conv1x1 import InvertibleConv
from phosphene.generative.flow.layers.coupling import ChannelCoupling, Monotone
from phosphene.generative.flow.layers.transform import Transform

__all__ = ["cases", "peer_of", "transplant"]

PEER = "normflows"
_TOLERANCE = 1e-4
"""Of log-densities and samples, relative to the largest: dozens of float32 layers on each side."""


class _ShiftFirst:
    """h(x) = (x - t) exp(-s), parameters (t, s): the peer's coupling."""

    size = 2

    def forward(self, x: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        t, s = params.unbind(-1)
        return (x - t) * (-s).exp(), -s

    def inverse(self, y: Tensor, params: Tensor) -> tuple[Tensor, Tensor]:
        t, s = params.unbind(-1)
        return torch.addcmul(t, y, s.exp()), s


def peer_of(size: int, levels: int, steps: int, hidden: int) -> Any:
    """The peer's flow, initialised by a batch, its couplings away from the identity."""
    import normflows as nf

    with seeded(5):
        bases, merges, flows, channels = [], [], [], 1
        for i in range(levels):
            channels *= 4
            blocks = [nf.flows.GlowBlock(channels, hidden, scale_map="exp") for _ in range(steps)]
            flows.insert(0, [*blocks, nf.flows.Squeeze()])
            size //= 2
            last = i == levels - 1
            channels = channels if last else channels // 2
            bases.insert(0, nf.distributions.DiagGaussian((channels, size, size)))
            if not last:
                merges.append(nf.flows.Merge())
        peer = nf.MultiscaleFlow(bases, flows, merges, class_cond=False)
        side = size * 2**levels
        for module in peer.modules():
            if isinstance(module, nf.nets.ConvNet2d):
                nn.init.normal_(module.net[-1].weight, std=0.01)
        with torch.no_grad():  # the first batch initialises its activation normalisation
            peer.log_prob(torch.randn(64, 1, side, side), None)
    return peer


@torch.no_grad()
def transplant(peer: Any, size: int, levels: int, steps: int, hidden: int) -> Glow:
    """Our Glow with the peer's weights."""
    ours = Glow(
        Event.real(1, size, size), levels=levels, steps=steps, hidden=hidden, split_prior=False
    )
    coupling: Monotone = _ShiftFirst()
    theirs = [
        block
        for flows in reversed(peer.flows)
        for block in reversed(flows)
        if hasattr(block, "flows")
    ]
    own = [layer for layer in ours.transform.modules() if isinstance(layer, Transform)]
    kinds = (ActNorm, InvertibleConv, ChannelCoupling)
    norms, rotations, couplings = ([layer for layer in own if isinstance(layer, k)] for k in kinds)
    for block, norm, rotation, ours_block in zip(theirs, norms, rotations, couplings, strict=True):
        affine, conv, actnorm = block.flows
        norm.log_scale.copy_(-actnorm.s.flatten())
        norm.shift.copy_((-actnorm.t * (-actnorm.s).exp()).flatten())
        norm.initialized.fill_(True)
        rotation.rotation.copy_(conv.P)
        rotation.signs.copy_(conv.sign_S)
        for target, source in (
            (rotation.lower, conv.L.tril(-1)),
            (rotation.upper, conv.U.triu(1)),
            (rotation.log_scale, conv.log_S),
        ):
            target.copy_(source)
        ours_block.monotone = coupling
        _copy_network(affine.flows[1].param_map.net, ours_block.conditioner)
    return ours


def _copy_network(theirs: Any, ours: nn.Module) -> None:
    assert isinstance(ours, ImageConditioner)
    first, second, head = (layer for layer in theirs if isinstance(layer, nn.Conv2d))
    # The peer leaves the shift and the log-scale of a channel next to each other.
    order = torch.arange(len(head.weight)).view(-1, 2).T.flatten()
    for source, target, rows in (
        (first, ours.first, slice(None)),
        (second, ours.second, slice(None)),
        (head, ours.head, order),
    ):
        assert target.bias is not None
        target.weight.copy_(source.weight[rows])
        target.bias.copy_(source.bias[rows])


def cases(
    sizes: tuple[tuple[int, int, int, int], ...], rounds: int | None = None
) -> Iterator[Case]:
    """A training step and sampling, for each (levels, steps, hidden, examples)."""
    for levels, steps, hidden, n in sizes:
        peer = peer_of(32, levels, steps, hidden)
        flow = transplant(peer, 32, levels, steps, hidden)
        what = f"1x32x32, {levels} levels of {steps} steps, hidden {hidden}, {n} images"
        yield _sampling(f"Glow sampling, {what}", peer, flow, n, rounds)
        yield _training(f"Glow training step, {what}", peer, flow, n, rounds)


def _agreement(peer: Any, flow: Glow, n: int) -> float:
    """Largest difference of log-densities, and of images made of latents, relative."""
    x = torch.randn(n, 1, 32, 32, generator=generator(6))
    with torch.no_grad():
        flow.eval()
        own, other = flow.log_prob(x), peer.log_prob(x, None)
        back, _ = peer.forward_and_log_det(peer.inverse_and_log_det(x)[0])
        ours_back = flow.inverse(flow.forward_and_log_det(x)[0])
        flow.train()
    pairs = ((own, other), (ours_back, back), (back, x))
    worst = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    assert worst < _TOLERANCE, f"ours and the peer's differ by {worst}"
    z, _ = flow.forward_and_log_det(x)
    assert float((z - x).abs().max()) > 0.1, "the flow does nothing"
    return worst


def _sampling(name: str, peer: Any, flow: Glow, n: int, rounds: int | None) -> Case:
    @torch.no_grad()
    def theirs(watch: Watch) -> Tensor:
        x: Tensor = peer.sample(n)[0]
        return x

    @torch.no_grad()
    def ours(watch: Watch) -> Tensor:
        if flow.training:  # only the first time: a change of mode forgets what evaluation keeps
            flow.eval()
        return flow.sample(n, generator=generator(7))

    return Case(name, PEER, lambda: _agreement(peer, flow, n), theirs, ours, rounds)


def _training(name: str, peer: Any, flow: Glow, n: int, rounds: int | None) -> Case:
    x = torch.randn(n, 1, 32, 32, generator=generator(8))
    # A rate of zero keeps both where they agree, and costs what any other does.
    optimizers = [torch.optim.Adam(m.parameters(), lr=0.0, fused=True) for m in (peer, flow)]

    def theirs(watch: Watch) -> None:
        _step(peer.forward_kld(x), optimizers[0])

    def ours(watch: Watch) -> None:
        flow.train()
        _step(-flow.log_prob(x).mean(), optimizers[1])

    return Case(name, PEER, lambda: _agreement(peer, flow, n), theirs, ours, rounds, bound=())


def _step(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
