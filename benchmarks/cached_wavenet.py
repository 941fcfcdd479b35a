"""WaveNet with its cache against the loop that evaluates the network anew for every value."""

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.common import Case, Watch
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.wavenet import WaveNet
from phosphene.kernels.library import backend, forced
from phosphene.nn.choosing import Choosing

__all__ = ["cases"]


def _scattered(length: int, layers: int) -> WaveNet:
    with seeded(11):
        model = WaveNet(Event.audio(length, levels=256), layers=layers)
        torch.nn.init.normal_(model.output.weight, std=0.2)  # zero before training
    return model


def cases(
    length: int = 8000, layers: int = 10, timed: int = 2, rounds: int | None = 1
) -> Iterator[Case]:
    """One sequence, by the whole network for each value and by the network on what it can see.

    Both loops take time in proportion to their steps, for every step is the same work; ``timed``
    steps are measured and the time of all is counted from them.
    """
    model = _scattered(length, layers)
    u = torch.rand(1, length, 1, generator=generator(12))
    window = _scattered(model.receptive_field + 1, layers)
    window.load_state_dict(model.state_dict())
    x = model.generate(u).float()

    @torch.no_grad()
    def whole(watch: Watch) -> None:
        step = model.naive_stepper(1)
        _first(watch, timed, length, lambda t: step(length - timed + t, x))

    @torch.no_grad()
    def seen(watch: Watch) -> None:
        last = x[:, -window.event.dimensions :]
        _first(watch, timed, length, lambda t: window.conditionals(last)[:, -1])

    def check() -> float:
        worst = _naive_draws_the_same(model, u)
        with torch.no_grad():
            a = model.conditionals(x)[:, -1]
            b = window.conditionals(x[:, -window.event.dimensions :])[:, -1]
        difference = float((a - b).abs().max() / a.abs().max().clamp(min=1.0))
        assert difference < 1e-4, "the window does not see enough"
        return max(worst, difference)

    @torch.no_grad()
    def native(watch: Watch) -> None:
        model.generate(u)

    @torch.no_grad()
    def torch_only(watch: Watch) -> None:
        with forced("off"):
            model.generate(u)

    what = f"WaveNet {layers} layers, {length:,} codes"
    ways = [("native", native)] if backend().library is not None else []
    for name, ours in (("torch", torch_only), *ways):
        yield Case(f"{what}, naive loop, {name}", "torch", check, whole, ours, rounds)
    for name, ours in ways:
        yield Case(f"{what}, loop over what is seen, {name}", "torch", check, seen, ours, rounds)


def _first(watch: Watch, timed: int, steps: int, step: object) -> None:
    """Time some steps, and count the time of all."""
    assert callable(step)
    for t in range(timed):
        step(t)
    watch.stop()
    watch.wall *= steps / timed
    watch.cpu *= steps / timed


@torch.no_grad()
def _naive_draws_the_same(model: WaveNet, u: Tensor) -> float:
    """Every code drawn is what the naive loop would draw there, in float64.

    Given the codes before it, the naive loop's conditional of a value is the parallel pass's; so
    one pass over what was drawn checks all steps.
    """
    model.double()
    drawn = model.generate(u.double())
    some = min(u.shape[1], 200)
    start = _scattered(some, len(model.dilations)).double()
    start.load_state_dict(model.state_dict())
    with forced("off"):
        assert torch.equal(start.generate(u[:, :some].double()), drawn[:, :some]), (
            "not the kernel's"
        )
    params = model.conditionals(drawn)
    by_pass = model.conditional.draw(params, u.double(), Choosing(), 0)
    model.float()
    assert torch.equal(drawn.double(), by_pass.double()), "the naive loop draws other codes"
    assert len(drawn.unique()) > 1, "all codes are the same"
    return 0.0
