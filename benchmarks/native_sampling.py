"""Our samplers by the native kernels against our own in torch, given the same uniform numbers."""

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.common import Case, Watch
from phosphene.core.event import Event
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.autoregressive import Autoregressive
from phosphene.generative.autoregressive.made import MADE
from phosphene.generative.autoregressive.nade import NADE
from phosphene.kernels.library import backend, forced

__all__ = ["cases"]


def cases(
    dimensions: int, hidden: int, samples: tuple[int, ...], rounds: int | None = None
) -> Iterator[Case]:
    """NADE and MADE; none where there are no kernels."""
    if backend().library is None:
        return
    for n in samples:
        with seeded(7):
            nade = NADE(Event.binary(dimensions), hidden=hidden)
            made = MADE(Event.binary(dimensions), hidden=(hidden,))
        for name, model in (("NADE", nade), ("MADE", made)):
            what = f"{name} sampling, D={dimensions}, hidden {hidden}, {n} samples, ours in torch"
            yield _case(what, model, n, rounds)


def _case(name: str, model: Autoregressive, n: int, rounds: int | None) -> Case:
    u = torch.rand(n, model.event.dimensions, 1, generator=generator(9), dtype=torch.float64)

    @torch.no_grad()
    def native(watch: Watch | None = None) -> Tensor:
        return model.generate(u.to(model.dtype))

    @torch.no_grad()
    def in_torch(watch: Watch | None = None) -> Tensor:
        with forced("off"):
            return model.generate(u.to(model.dtype))

    def check() -> float:
        """In float64, where rounding does not decide, all draws are the same."""
        model.double()
        same = torch.equal(native(), in_torch())
        model.float()
        assert same, "the kernel draws other codes"
        return 0.0

    return Case(name, "torch", check, in_torch, native, rounds)
