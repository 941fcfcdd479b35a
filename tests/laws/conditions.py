"""Laws of conditions: what is claimed to depend on a condition does, part by part.

That some answer moves with the label says little of a model in which five parts are told of it:
four may have been forgotten. So each is asked alone.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import torch
from torch import Tensor, nn

from phosphene.catalog import System
from phosphene.core.context import Context
from phosphene.core.model import Model
from phosphene.core.rng import generator, seeded
from phosphene.generative.flow.cflow import CFlow
from phosphene.generative.flow.layers.actnorm import ActNorm
from phosphene.generative.flow.layers.bases import Learned
from phosphene.generative.flow.layers.conv1x1 import InvertibleConv, NormConv
from phosphene.generative.flow.layers.linear import Diagonal, LULinear
from phosphene.generative.flow.layers.split import Split
from phosphene.generative.flow.layers.steered import States, Steered
from phosphene.generative.flow.layers.transform import Transform
from phosphene.nn.context_embedding import ConditionBias
from tests.laws.support import Make, batch_of, context_of, data_of, law, lived, with_any

_TELL_NOTHING = (ActNorm, InvertibleConv, NormConv, LULinear, Diagonal)
"""Layers of a flow that have weights and no condition, by their papers."""

_MANY = 48

_UNTOLD_DECODERS = frozenset({"latent-diffusion", "vq-vae-prior"})
"""Systems whose codes hold all of an example: the condition says which codes there are."""

_THROUGH_ITS_IMAGE = frozenset({"srflow"})
"""Systems whose label and vector come to the layers in the features of the image."""


def _shaken(make: Make, row: System, scale: float = 0.4) -> Model:
    """A prepared model, its weights so random that nothing which starts at zero is zero."""
    model = make().to(torch.float64)
    model.prepare(batch_of(model, row=row))
    if not list(model.parameters()):  # counts, which only a training gives
        model = lived(make, row, dtype=torch.float64, own=True)
    with seeded(4), torch.no_grad():
        for p in model.parameters():
            p.add_(scale * torch.randn_like(p))
    return model.eval()


def _own(model: Model) -> list[nn.Module]:
    """All modules but those of a flow of the condition itself, which is told of nothing."""
    others = set(model.condition.modules()) if isinstance(model, CFlow) else set()
    return [m for m in model.modules() if m not in others]


def _moves(call: Callable[[Context], Tensor], one: Context, other: Context) -> bool:
    with torch.no_grad():
        before, after = call(one), call(other)
    assert bool(torch.isfinite(before.double()).all()), "the weights are too random to tell"
    return not torch.equal(before, after)


def _answers(model: Model, x: Tensor) -> dict[str, Callable[[Context], Tensor]]:
    """What a model says of many examples: a code of few values moves in some of them only."""
    calls: dict[str, Callable[[Context], Tensor]] = {
        "log_prob": lambda c: model.log_prob(x, c),
        "elbo": lambda c: model.elbo(x, c, generator=generator(6)),
        "sample": lambda c: model.sample(len(x), c, generator=generator(5)),
    }
    return {name: call for name, call in calls.items() if hasattr(model, name)}


def _told_and_answering(model: Model, row: System) -> bool:
    return bool(model.context) and with_any("log_prob", "elbo", "sample", "decode")(model, row)


@law(when=_told_and_answering)
def law_every_answer_is_told_of_the_condition(make: Make, row: System) -> None:
    """Samples, likelihoods, bounds and what a code decodes to: each moves with each condition."""
    model = _shaken(make, row)
    whole = context_of(model, _MANY)
    x = data_of(model, _MANY, seed=9)
    calls = _answers(model, x)
    if hasattr(model, "decode") and row.name not in _UNTOLD_DECODERS:
        with torch.no_grad():
            z = model.encode(x, whole)
        calls["decode"] = lambda c: model.decode(z, c)
        if row.family != "toys":  # a toy's encoder is told of nothing, and its bound is true
            calls["encode"] = lambda c: model.encode(x, c)
    for part in model.context.names:
        if part == "label":
            one, other = (replace(whole, label=torch.full((_MANY,), k)) for k in (0, 1))
        else:
            one, other = whole, _otherwise(whole, part)
        for name, call in calls.items():
            assert _moves(call, one, other), f"{name} is not told of the {part}"


def _has_parts_for_a_label(model: Model, row: System) -> bool:
    parts = any(isinstance(m, ConditionBias) for m in _own(model))
    return model.context.label is not None and parts


@law(when=_has_parts_for_a_label)
def law_every_part_told_of_a_label_uses_it(make: Make, row: System) -> None:
    """Each map of a condition, the others' weights at zero, still moves what the model says."""
    model = _shaken(make, row)
    maps = [m for m in _own(model) if isinstance(m, ConditionBias)]
    names = {m: n for n, m in model.named_modules()}
    for m in maps:
        assert m.map is not None, f"{names[m]} is a part for a condition and is told of none"
    kept = {m: m.map.weight.detach().clone() for m in maps if m.map is not None}
    whole = context_of(model, _MANY)
    zeros, ones = (replace(whole, label=torch.full((_MANY,), k)) for k in (0, 1))
    for alone in maps:
        for m, weight in kept.items():
            assert m.map is not None
            m.map.weight.data.copy_(weight if m is alone else torch.zeros_like(weight))
        answers = _answers(model, data_of(model, _MANY, seed=9))
        moved = any(_moves(call, zeros, ones) for call in answers.values())
        assert moved, f"the label comes to {names[alone]} and changes nothing"


def _has_layers_that_listen(model: Model, row: System) -> bool:
    own = _own(model)
    layers = any(isinstance(m, Learned) or (isinstance(m, Transform) and _claims(m)) for m in own)
    return bool(model.context) and layers


@law("forward_and_log_det", when=_has_layers_that_listen)
def law_every_layer_is_told_of_the_condition(make: Make, row: System) -> None:
    """Each layer of a conditional flow gives another z, or log-determinant, for each condition."""
    model = _shaken(make, row, scale=0.2)
    names = {m: n for n, m in model.named_modules()}
    layers = [m for m in _own(model) if isinstance(m, Transform) and _claims(m)]
    heard: dict[Transform, tuple[Tensor, Context | None]] = {}
    for layer in layers:
        _listen(layer, heard)
    n = 16
    context = context_of(model, n)
    with torch.no_grad():
        model.forward_and_log_det(torch.randn((n, *model.event.shape), generator=generator(1),
                                              dtype=torch.float64), context)  # fmt: skip
        model.sample(n, context, generator=generator(2))
    for layer in layers:
        x, given = heard[layer]
        assert given is not None, f"{names[layer]} is told of no condition"
        for part in _heard_by(layer, given, row):
            moved = _moves(lambda c, x=x, layer=layer: _answer(layer, x, c), given,
                           _otherwise(given, part))  # fmt: skip
            assert moved, f"{names[layer]} is not told of the {part}"
    for base in (m for m in _own(model) if isinstance(m, Learned)):
        z = torch.randn(n, *base.shape, generator=generator(3), dtype=torch.float64)
        for part in (n for n in ("label", "vector") if n in model.context.names):
            moved = _moves(lambda c, z=z, base=base: base.log_prob(z, c), context,
                           _otherwise(context, part))  # fmt: skip
            assert moved, f"the base is not told of the {part}"


def _claims(layer: Transform) -> bool:
    """Whether a layer is the last to be told (it has weights, and holds no others), or steered."""
    if isinstance(layer, Steered):
        return True
    inner = any(isinstance(m, Transform) for m in layer.modules() if m is not layer)
    return not (inner or isinstance(layer, _TELL_NOTHING)) and bool(list(layer.parameters()))


def _heard_by(layer: Transform, told: Context, row: System) -> list[str]:
    """The parts of what a layer is told that its paper has it listen to."""
    parts = [f.name for f in fields(told) if f.name != "dropped"
             and getattr(told, f.name) is not None]  # fmt: skip
    if row.name in _THROUGH_ITS_IMAGE:
        return ["image"]
    if isinstance(layer, Split | Steered):  # an image reaches them as the states of a flow
        return [n for n in parts if n != "image"]
    return [n for n in parts if n != "states"]  # and what they hold, as an image


def _listen(layer: Transform, heard: dict[Transform, tuple[Tensor, Context | None]]) -> None:
    for method in ("forward_and_log_det", "inverse_and_log_det", "inverse"):
        plain = getattr(layer, method)

        def told(
            x: Tensor, context: Context | None = None, plain: Callable[..., object] = plain
        ) -> object:
            heard[layer] = (x, context)
            return plain(x, context)

        setattr(layer, method, told)


def _answer(layer: Transform, x: Tensor, context: Context) -> Tensor:
    z, log_det = layer.forward_and_log_det(x, context)
    return torch.cat([z.flatten(1), log_det[:, None]], 1)


def _otherwise(context: Context, part: str) -> Context:
    """The context with one part changed in every example."""
    value = getattr(context, part)
    if part == "states":
        assert isinstance(context, States)
        return replace(context, states=[h + 1.0 + h.flip(0) for h in value])
    if part == "label":
        return replace(context, label=(value + 1) % 3)
    if value.is_floating_point():
        return replace(context, **{part: value + 1.0 + value.flip(0)})
    return replace(context, **{part: (value + 1) % 4})
