"""Denoising networks against diffusers and denoising-diffusion-pytorch: training steps, sampling.

    python -m benchmarks.diffusion_networks [--quick] [--json FILE]

diffusers' UNet2DModel holds the same weights, and outputs and gradients are compared in single
precision before anything is timed. denoising-diffusion-pytorch's Unet is another function of about
as many parameters. It imports torchvision and pytorch-fid, for what is not measured here; where
these are missing, stand-ins are imported in their place, and the output says so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.common import Case, Row, Watch, arguments, installed, run_all, write_json
from benchmarks.stand_ins import imported
from phosphene.core.rng import generator, seeded
from phosphene.generative.diffusion.layers.attention import Attention
from phosphene.generative.diffusion.layers.blocks import PixelAttention, TimedBlock
from phosphene.generative.diffusion.layers.unet import UNet

__all__ = ["QUICK", "Shape", "Size", "cases", "copy_weights", "main", "peer_of"]

DIFFUSERS, LUCIDRAINS = "diffusers", "denoising-diffusion-pytorch"
_TOLERANCE = 1e-5
"""Of outputs and gradients, relative to the largest."""
_NEAR = 0.03
"""How far numbers of parameters may differ where the functions do."""
_AS_LARGE = {16: (13, 32, 32), 32: (32, 56, 56)}
"""Our widths that give as many parameters as the peer has at this first width."""
Call = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Shape:
    """A U-Net and a batch.

    Args:
        channels: Of images.
        side: Their height and width.
        widths: Channels of the levels.
        blocks: Residual blocks of a level.
        attention: Levels that attend.
        n: Images in a batch.
    """

    channels: int
    side: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    n: int

    def __str__(self) -> str:
        widths = "-".join(map(str, self.widths))
        attends = f", attention at {self.side >> self.attention[0]}" if self.attention else ""
        return f"{self.n}x{self.channels}x{self.side}x{self.side}, {widths}{attends}"


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        shapes: Of U-Nets with the same weights.
        lucidrains: First width and batch of those with as many parameters, for 3x32x32.
        rounds: Measurements of each case.
    """

    shapes: tuple[Shape, ...] = (
        Shape(4, 16, (32, 64, 64), 1, (), 64),
        Shape(3, 32, (64, 128, 128), 2, (1,), 8),
    )
    lucidrains: tuple[int, int] = (32, 16)
    rounds: int = 5


QUICK = Size(shapes=(Shape(4, 16, (32, 64, 64), 1, (), 32),), lucidrains=(16, 8), rounds=5)


def peer_of(shape: Shape, heads: int, groups: int) -> Any:
    """diffusers' model of this shape, nowhere zero."""
    from diffusers import UNet2DModel

    levels = range(len(shape.widths))
    down = tuple("AttnDownBlock2D" if k in shape.attention else "DownBlock2D" for k in levels)
    up = tuple("AttnUpBlock2D" if k in shape.attention else "UpBlock2D" for k in levels)[::-1]
    attends = [shape.widths[k] for k in shape.attention] or [shape.widths[-1]]
    with seeded(1):
        return UNet2DModel(
            sample_size=shape.side,
            in_channels=shape.channels,
            out_channels=shape.channels,
            block_out_channels=shape.widths,
            layers_per_block=shape.blocks,
            down_block_types=down,
            up_block_types=up,
            norm_num_groups=groups,
            attention_head_dim=attends[0] // heads,
            resnet_time_scale_shift="scale_shift",
            add_attention=bool(shape.attention),
            attn_norm_num_groups=groups,
        )


@torch.no_grad()
def copy_weights(ours: UNet, peer: Any) -> None:
    """Give our network the weights of diffusers' model."""
    encoder, decoder = ours.encoder, ours.decoder
    pairs: list[tuple[nn.Module, Any]] = [
        (encoder.embed.first, peer.time_embedding.linear_1),
        (encoder.embed.second, peer.time_embedding.linear_2),
        (encoder.first, peer.conv_in),
        (decoder.norm, peer.conv_norm_out),
        (decoder.last, peer.conv_out),
        (encoder.middle_1, peer.mid_block.resnets[0]),
        (encoder.middle_2, peer.mid_block.resnets[1]),
    ]
    if encoder.middle_attend is not None:
        pairs.append((encoder.middle_attend, peer.mid_block.attentions[0]))
    for half, levels in ((encoder, peer.down_blocks), (decoder, peer.up_blocks)):
        for k, (block, attend) in enumerate(zip(half.blocks, half.attend, strict=True)):
            level = levels[k // half.each]
            pairs.append((block, level.resnets[k % half.each]))
            if isinstance(attend, PixelAttention):
                pairs.append((attend, level.attentions[k % half.each]))
    sizes = [level.downsamplers[0] for level in peer.down_blocks[:-1]]
    sizes += [level.upsamplers[0] for level in peer.up_blocks[:-1]]
    for layer, other in zip((*encoder.down, *decoder.up), sizes, strict=True):
        pairs.append((layer.conv, other.conv))
    for layer, other in pairs:
        _copy(layer, other)


def _copy(ours: nn.Module, theirs: Any) -> None:
    if isinstance(ours, TimedBlock):
        for layer, other in (
            (ours.norm_1, theirs.norm1),
            (ours.conv_1, theirs.conv1),
            (ours.modulation, theirs.time_emb_proj),
            (ours.norm_2, theirs.norm2),
            (ours.conv_2, theirs.conv2),
            *([(ours.skip, theirs.conv_shortcut)] if ours.skip is not None else []),
        ):
            _copy(layer, other)
    elif isinstance(ours, PixelAttention):
        _copy(ours.norm, theirs.group_norm)
        _copy(ours.attention.out, theirs.to_out[0])
        assert isinstance(ours.attention, Attention)
        assert ours.attention.qkv is not None
        parts = (theirs.to_q, theirs.to_k, theirs.to_v)
        ours.attention.qkv.weight.copy_(torch.cat([p.weight for p in parts]))
        ours.attention.qkv.bias.copy_(torch.cat([p.bias for p in parts]))
    else:
        assert {k: v.shape for k, v in ours.named_parameters()} == {
            k: v.shape for k, v in theirs.named_parameters()
        }
        ours.load_state_dict(theirs.state_dict(), strict=False)


def _same_weights(shape: Shape) -> tuple[UNet, Any]:
    heads, groups = 4, 8
    peer = peer_of(shape, heads, groups)
    ours = UNet(
        (shape.channels, shape.side, shape.side),
        widths=shape.widths,
        blocks=shape.blocks,
        attention=shape.attention,
        heads=heads,
        patch=1,
        groups=groups,
        waves=shape.widths[0],
    )
    copy_weights(ours, peer)
    assert _count(ours) == _count(peer), "not the same parameters"
    return ours, peer


def _count(module: Any) -> int:
    return sum(p.numel() for p in module.parameters())


def _agreement(ours: UNet, peer: Any, x: Tensor, time: Tensor) -> float:
    """Largest relative difference of outputs and of the gradients of the input."""
    found = []
    for call in (ours, _diffusers(peer)):
        given = x.clone().requires_grad_()
        y = call(given, time)
        y.square().mean().backward()
        assert given.grad is not None
        found.append((y.detach(), given.grad))
    pairs = zip(*found, strict=True)
    worst = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
    assert worst < _TOLERANCE, f"ours and the peer's differ by {worst}"
    for module in (ours, peer):
        module.zero_grad()
    return worst


def _diffusers(peer: Any) -> Call:
    return lambda x, time: peer(x, 1000.0 * time).sample


def _step(module: Any, call: Call, x: Tensor, time: Tensor, half: bool) -> Callable[[Watch], None]:
    # A rate of zero keeps both where they agree, and costs what any other does.
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.0, weight_decay=0.0, fused=True)

    def step(watch: Watch) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            y = call(x, time)
        (y.float() - x).square().mean().backward()
        optimizer.step()

    return step


def _pass(call: Call, x: Tensor, half: bool) -> Callable[[Watch], Tensor]:
    time = torch.tensor([0.5])

    @torch.no_grad()
    def forward(watch: Watch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            return call(x, time)

    return forward


def _data(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    g = generator(2)
    return torch.randn(shape, generator=g), torch.rand(shape[0], generator=g)


def _against_diffusers(shape: Shape) -> Iterator[Case]:
    ours, peer = _same_weights(shape)
    x, time = _data((shape.n, shape.channels, shape.side, shape.side))

    def check() -> float:
        return _agreement(ours, peer, x, time)

    for half in (False, True):
        kind = "bfloat16" if half else "float32"
        theirs = _step(peer, _diffusers(peer), x, time, half)
        step = _step(ours, ours, x, time, half)
        yield Case(f"U-Net step, {shape}, {kind}", DIFFUSERS, check, theirs, step)
    for half in (False, True):
        kind = "bfloat16" if half else "float32"
        theirs_pass, ours_pass = _pass(_diffusers(peer), x, half), _pass(ours, x, half)
        yield Case(f"U-Net output, {shape}, {kind}", DIFFUSERS, check, theirs_pass, ours_pass)
    last = {"memory_format": torch.channels_last}
    peer, x = peer.to(**last), x.contiguous(**last)
    for half in (False, True):
        kind = "bfloat16" if half else "float32"
        theirs = _step(peer, _diffusers(peer), x, time, half)
        step = _step(ours, ours, x, time, half)
        name = f"U-Net step, {shape}, {kind}, both channels-last"
        yield Case(name, DIFFUSERS, check, theirs, step)


def _against_lucidrains(width: int, n: int) -> Iterator[Case]:
    module, stood_in = imported(LUCIDRAINS)
    with seeded(1):
        peer = module.Unet(dim=width, dim_mults=(1, 2, 2), channels=3)
    ours = _of_as_many(width)
    x, time = _data((n, 3, 32, 32))
    if stood_in:
        print(f"{LUCIDRAINS}: stand-ins were imported for {', '.join(stood_in)}")

    def check() -> float:
        """Another function: there is nothing to compare but how many parameters there are."""
        assert abs(_count(ours) / _count(peer) - 1.0) < _NEAR
        return 0.0

    for half in (False, True):
        kind = "bfloat16" if half else "float32"
        name = f"U-Net step, {n}x3x32x32, {_count(ours):,} parameters, {kind}"
        theirs = _step(peer, lambda x, time: peer(x, 1000.0 * time), x, time, half)
        yield Case(name, LUCIDRAINS, check, theirs, _step(ours, ours, x, time, half))


def _of_as_many(width: int) -> UNet:
    """Ours at full size, attending at the coarsest level as the peer's, as large as the peer's."""
    with seeded(1):
        return UNet(
            (3, 32, 32), widths=_AS_LARGE[width], blocks=2, attention=(2,), patch=1, groups=4
        )


def cases(size: Size) -> Iterator[Case]:
    """All cases, built one by one; those of a peer that is missing are left out."""
    if installed(DIFFUSERS):
        for shape in size.shapes:
            yield from _against_diffusers(shape)
    if installed(LUCIDRAINS):
        yield from _against_lucidrains(*size.lucidrains)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Denoising networks against diffusers and others", argv)
    torch.set_num_threads(1)
    size = QUICK if options.quick else Size()
    rows = run_all(cases(size), size.rounds, (DIFFUSERS, LUCIDRAINS))
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()
