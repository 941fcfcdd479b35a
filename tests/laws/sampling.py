"""Laws of what comes out: samples, codes and reconstructions."""

import torch
from torch import Tensor

from phosphene.catalog import System
from phosphene.core.errors import EventError
from phosphene.core.model import Model
from phosphene.core.rng import generator, seeded
from tests.laws.support import (
    ASKED,
    Make,
    compare,
    context_of,
    data_of,
    law,
    lived,
    one_sentence,
    queries,
    told,
    with_any,
)


@law("sample")
def law_samples_lie_in_the_support(make: Make, row: System) -> None:
    """(n, *shape), valid codes or finite floats, without a graph, leaving the mode alone."""
    model = lived(make, row)
    training = model.training
    for n in (1, 5):
        x = model.sample(n, context_of(model, n), generator=generator(1))
        assert tuple(x.shape) == (n, *model.event.shape), f"{n} samples of shape {tuple(x.shape)}"
        model.event.check(x)
        assert not x.requires_grad, "samples carry a graph"
    assert model.training == training, "sampling changes the mode of the model"


@law("sample")
def law_samples_follow_their_generator(make: Make, row: System) -> None:
    """The same seed gives the same samples, and another seed others."""
    model = lived(make, row)
    n = 32
    context = context_of(model, n, same=True)
    one, same, other = (model.sample(n, context, generator=generator(k)) for k in (1, 1, 2))
    assert torch.equal(one, same), "the same seed gives other samples"
    assert not torch.equal(one, other), "another seed gives the same samples"
    assert len(torch.unique(one.flatten(1), dim=0)) > 1, "all samples of a draw are the same"


@law("sample", when=told)
def law_each_row_of_a_context_has_draws_of_its_own(make: Make, row: System) -> None:
    """``each=True`` gives n draws of row i at place i, those of that row asked for n times."""
    model = lived(make, row)
    context = context_of(model, 4)
    with seeded(0):
        each = model.sample(3, context, each=True, generator=generator(4))
    assert tuple(each.shape) == (4, 3, *model.event.shape), f"draws of shape {tuple(each.shape)}"
    with seeded(0):
        flat = model.sample(12, context.repeat(3), generator=generator(4))
    assert torch.equal(each.flatten(0, 1), flat), "draws of one row are given to another"


@law("encode")
def law_codes_decode(make: Make, row: System) -> None:
    """Codes are deterministic; they decode to finite floats on the scale of the event."""
    model = lived(make, row)
    x, context = data_of(model, 6), context_of(model, 6)
    with torch.no_grad():
        z = model.encode(x, context)
        assert len(z) == 6, f"6 examples give a code of shape {tuple(z.shape)}"
        assert torch.isfinite(z).all(), "a code is not finite"
        assert torch.equal(z, model.encode(x, context)), "the code of an example is random"
        y = model.decode(z, context)
        assert torch.equal(y, model.reconstruct(x, context)), "reconstruct is not decode(encode)"
    assert tuple(y.shape) == tuple(x.shape), f"decoded to shape {tuple(y.shape)}"
    assert y.is_floating_point(), "a decoded mean is a float"
    assert torch.isfinite(y).all(), "a decoded mean is not finite"
    if model.event.levels is not None and model.likelihood != "none":
        low, high = float(y.min()), float(y.max())
        assert low >= 0, f"a mean of {low} is not a mean of codes"
        assert high <= model.event.levels - 1, f"a mean of {high} is not a mean of codes"


@law("inpaint")
def law_inpainting_keeps_what_is_known(make: Make, row: System) -> None:
    """Known values stay, the rest is filled with valid ones, and what lay hidden is not seen."""
    model = lived(make, row)
    x, context = data_of(model, 4), context_of(model, 4)
    mask = _mask_for(model, x)
    hidden = data_of(model, 4, seed=1)

    def inpaint(x: Tensor) -> Tensor:
        filled: Tensor = model.inpaint(x, mask, context, generator=generator(1))
        return filled

    y = inpaint(x)
    assert y.shape == x.shape, f"inpainted to shape {tuple(y.shape)}"
    model.event.check(y)
    assert not y.requires_grad, "what is inpainted carries a graph"
    assert torch.equal(y[mask].double(), x[mask].double()), "what is known was changed"
    assert torch.equal(y, inpaint(x)), "the same seed inpaints otherwise"
    assert torch.equal(y, inpaint(torch.where(mask, x, hidden))), "hidden values are seen"


def _mask_for(model: Model, x: Tensor) -> Tensor:
    """Half of the values, or the first values in the order of a model that knows one order only."""
    mask = torch.rand(x.shape, generator=generator(3)) < 0.5
    if not hasattr(model, "order") or getattr(model, "any_order", False):
        return mask
    rank = torch.empty_like(model.order).scatter_(0, model.order, torch.arange(x[0].numel()))
    known = torch.arange(len(x)) * x[0].numel() // len(x)
    first = (rank < known[:, None]).reshape(x.shape)
    if model.event.levels is None and x[0].numel() > 1:  # few codes can be summed over
        _refuses_mask(model, x, ~(rank < 1).reshape(x[0].shape))
    return first


def _refuses_mask(model: Model, x: Tensor, mask: Tensor) -> None:
    try:
        model.inpaint(x, mask, context_of(model, len(x)), generator=generator(1))
    except EventError as error:
        one_sentence(error)
    else:
        raise AssertionError("a mask that the order cannot condition on is accepted")


@law(when=with_any("sample", *ASKED))
def law_mode_changes_no_answer(make: Make, row: System) -> None:
    """Noise of training comes with the batch, so ``train`` and ``eval`` mode answer alike."""
    model = lived(make, row)
    context = context_of(model, 4)
    answers = []
    for mode in (True, False):
        with seeded(0):
            calls = queries(model.train(mode))
            answers.append({name: call(context) for name, call in calls.items()})
    model.train()
    compare(*answers, "evaluation mode")


@law(when=with_any("log_prob", "encode", "reconstruct"))
def law_examples_do_not_mix(make: Make, row: System) -> None:
    """What is said of an example does not depend on the others in its batch (1e-5)."""
    model = lived(make, row)
    x, context = data_of(model, 8), context_of(model, 8)
    for name in ("log_prob", "encode", "reconstruct"):
        if hasattr(model, name):
            with torch.no_grad():
                whole = getattr(model, name)(x, context)
                part = getattr(model, name)(x[3:5], context[3:5])
            _close(whole[3:5], part, f"{name} of an example depends on its batch")


@law(when=lambda model, row: model.event.discrete and with_any(*ASKED)(model, row))
def law_codes_in_any_dtype(make: Make, row: System) -> None:
    """A discrete event means the same as uint8, int64 or float32."""
    model = lived(make, row)
    x, context = data_of(model, 4), context_of(model, 4)
    calls = [n for n in ASKED if hasattr(model, n)]
    for name in calls:
        noise = {"generator": generator(1)} if name == "elbo" else {}
        with torch.no_grad():
            plain = getattr(model, name)(x, context, **noise)
            for dtype in (torch.int64, torch.float32):
                noise = {"generator": generator(1)} if name == "elbo" else {}
                other = getattr(model, name)(x.to(dtype), context, **noise)
                _close(plain, other, f"{name} differs between {x.dtype} and {dtype} codes")


def _close(one: Tensor, other: Tensor, what: str) -> None:
    worst = float((one - other).abs().max() / one.abs().max().clamp(min=1.0))
    assert worst <= 1e-5, f"{what}: {worst:.1e}"
