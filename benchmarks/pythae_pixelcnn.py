"""PixelCNN sampling against pythae's: the same network, the same weights, the same draws.

    python -m benchmarks.pythae_pixelcnn [--quick] [--json FILE]

pythae's prior over codes is a stack of masked convolutions, each with batch normalization and a
rectifier, whose sampler runs the whole network for every pixel. Ours is ``PixelCNN`` without
residual blocks; normalization is folded into the convolutions. Importing this module does not
import pythae.
"""

import contextlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.common import Case, Watch, arguments, run_all, write_json
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.pixelcnn import PixelCNN
from phosphene.nn.choosing import Choosing, choose

__all__ = ["cases", "difference", "our_sampler", "peer_of", "transplant"]

PEER = "pythae"
_SEED = 3


def peer_of(side: int, levels: int, layers: int, kernel: int = 5) -> Any:
    """Pythae's sampler around its PixelCNN on side x side codes, with statistics that matter.

    The decoder that would turn the codes into images is left out: the sampler gives codes.
    """
    from pythae.models.normalizing_flows import PixelCNN as PythaePixelCNN
    from pythae.models.normalizing_flows import PixelCNNConfig
    from pythae.samplers import PixelCNNSampler

    with seeded(_SEED):
        config = PixelCNNConfig(
            input_dim=(1, side, side), n_embeddings=levels, n_layers=layers, kernel_size=kernel
        )
        net = PythaePixelCNN(config)
        net.train()
        for _ in range(3):  # running statistics of codes, not their initial zeros and ones
            net({"data": torch.randint(0, levels, (32, 1, side, side)).float()})
    net.eval()
    sampler = PixelCNNSampler.__new__(PixelCNNSampler)
    sampler.pixelcnn_model, sampler.device, sampler.is_fitted = net, "cpu", True
    sampler.needs_reshape = True
    sampler.model = SimpleNamespace(
        quantizer=SimpleNamespace(embeddings=lambda z: z),
        decoder=lambda z: SimpleNamespace(reconstruction=z),
    )
    return sampler


@torch.no_grad()
def transplant(net: Any, side: int, levels: int) -> PixelCNN:
    """Our PixelCNN with the weights of pythae's.

    Batch normalization, with its running statistics, is an affine map of channels and is folded
    into the convolution before it. The peer reads raw codes and ours reads them scaled to [-1, 1];
    at the border, where padding is zero for both, the difference is a bias of the place.
    """
    *stages, readout = list(net.net)
    kernel = stages[0][0].kernel_size[0]
    ours = PixelCNN(
        Event.image(1, side, levels=levels),
        channels=stages[0][0].out_channels,
        blocks=len(stages) - 1,
        kernel=kernel,
        first_kernel=kernel,
        residual=False,
        head=0,
        conditional="categorical",
    )
    rows = kernel // 2 + 1
    targets = [ours.first, *(block.conv for block in ours.blocks)]
    for (conv, norm, _), target in zip(stages, targets, strict=True):
        weight, bias = folded(conv, norm)
        assert not weight[:, :, rows:].any(), "rows below the pixel are masked"
        target.weight.copy_(weight[:, :, :rows])
        target.bias.copy_(bias)
    if levels > 2:
        ours.first.weight *= (levels - 1) / 2
        assert ours.first_bias is not None
        inside, bias = torch.ones(1, 1, side, side), ours.first.bias
        assert bias is not None
        ours.first_bias.copy_((ours.first(inside) - bias[:, None, None])[0])
    ours.readout.weight.copy_(readout.weight)
    ours.output_bias.copy_(readout.bias[:, None, None].expand_as(ours.output_bias))
    return ours.eval()


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weights and bias of a masked convolution and the normalization after it, in one."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    assert conv.bias is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * conv.mask * scale[:, None, None, None]
    return weight, (conv.bias - norm.running_mean) * scale + norm.bias


def our_sampler(ours: PixelCNN, n: int, seed: int = _SEED) -> Tensor:
    """n images of codes."""
    return ours.sample(n, generator=generator(seed))


@torch.no_grad()
def difference(sampler: Any, ours: PixelCNN, n: int) -> float:
    """Largest relative difference of all conditionals; asserts that equal numbers draw equal codes.

    Conditionals are compared on random codes in one parallel pass each. Then both samplers draw
    from the same uniform numbers, the peer's draws being replaced by inversion, and every code must
    be the same.
    """
    event, net = ours.event, sampler.pixelcnn_model
    assert event.levels is not None
    x = torch.randint(0, event.levels, (n, *event.shape), generator=generator(_SEED))
    theirs = net({"data": x.float()}).out.squeeze(2).flatten(2).transpose(1, 2)
    own = ours.conditionals(x)
    worst = float((own - theirs).abs().max() / theirs.abs().max().clamp(min=1.0))
    assert worst < 1e-5, f"conditionals differ by {worst}"
    u = torch.rand((n, event.dimensions, 1), generator=generator(_SEED + 1))
    with drawing_by(u):
        codes = sampler.sample(n, batch_size=n).view(n, *event.shape)
    assert torch.equal(codes.long(), ours.generate(u).long()), "the samplers draw other codes"
    assert len(codes.unique()) > 1, "all codes are the same"
    return worst


@contextlib.contextmanager
def drawing_by(u: Tensor) -> Iterator[None]:
    """Inside the block, ``torch.multinomial`` inverts the next of the uniform numbers (n, D, 1)."""
    left = iter(u.unbind(1))

    def draw(p: Tensor, samples: int) -> Tensor:
        assert samples == 1, "one value at a time"
        return choose(p.log(), next(left)[:, 0], Choosing())[:, None]

    with mock.patch.object(torch, "multinomial", draw):
        yield


def cases(*, quick: bool = False) -> Iterator[Case]:
    """Sampling of 8 images of codes; one time is a time of all of them."""
    sizes = ((8, 3, 64, 3),) if quick else ((16, 5, 64, 3), (28, 5, 64, 1))
    for side, layers, levels, rounds in sizes:
        sampler = peer_of(side, levels, layers)
        ours = transplant(sampler.pixelcnn_model, side, levels)
        yield sampling(sampler, ours, 8, f"{side}x{side}, {layers} layers of 5x5", rounds)


def sampling(sampler: Any, ours: PixelCNN, n: int, what: str, rounds: int) -> Case:
    """One case: n images by each sampler."""

    def theirs(watch: Watch) -> None:
        sampler.sample(n, batch_size=n)

    return Case(
        name=f"PixelCNN sampling, {what}, {n} images of {ours.event.levels} codes",
        peer=PEER,
        check=lambda: difference(sampler, ours, n),
        theirs=theirs,
        ours=lambda watch: our_sampler(ours, n),
        rounds=rounds,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run these cases alone."""
    options = arguments("PixelCNN sampling against pythae", argv)
    torch.set_num_threads(1)
    rows = run_all(cases(quick=options.quick), rounds=3, peers=[PEER])
    if options.json:
        write_json(rows, options.json)


if __name__ == "__main__":
    main()
