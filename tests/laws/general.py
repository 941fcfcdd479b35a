"""Laws of every model: it is built, configured, saved, copied and trained as the contracts say."""

import copy
import json
import random
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from phosphene.catalog import System
from phosphene.core.batch import Batch
from phosphene.core.config import SCHEMA, decode, encode
from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.protocols import (
    Bounded,
    Density,
    Encodes,
    Estimated,
    Invertible,
    Likelihood,
    Samples,
)
from phosphene.core.rng import seeded
from phosphene.core.trainable import load_tensors
from tests.helpers.tiny import examples
from tests.laws import small
from tests.laws.support import (
    ASKED,
    Make,
    OneProcess,
    batch_of,
    behaviour,
    compare,
    context_of,
    data_of,
    law,
    lived,
    one_sentence,
    queries,
    with_any,
    with_losses,
)

_BIJECTIVE = ("forward_and_log_det", "inverse")


@law()
def law_builds(make: Make, row: System) -> None:
    """The model knows its event, its context and which likelihood it has; so do its weights."""
    model, again = make(), make()
    assert isinstance(model, Model), f"{row.target} is not a Model"
    assert model.likelihood in get_args(Likelihood), f"likelihood is {model.likelihood!r}"
    assert model.config["event"] == model.event, "the configuration holds another event"
    assert model.training, "a model is built ready to train"
    for (name, value), other in zip(
        model.state_dict().items(), again.state_dict().values(), strict=True
    ):
        assert torch.equal(value, other), f"{name} is not a function of the seed"


@law()
def law_configuration_round_trips(make: Make, row: System) -> None:
    """Through JSON and back the configuration is equal, and builds the same architecture."""
    model = make()
    text = json.dumps(encode(model.config), allow_nan=False)
    config = decode(json.loads(text))
    with seeded(0):
        again = row.load()(**config)
    assert encode(again.config) == encode(model.config), "the rebuilt model is configured otherwise"
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    rebuilt = {name: value.shape for name, value in again.state_dict().items()}
    assert rebuilt == shapes, "the rebuilt model has another architecture"
    assert again.likelihood == model.likelihood, "the rebuilt model has another likelihood"


@law()
def law_saves_and_loads(make: Make, row: System) -> None:
    """A saved model, loaded into other weights, behaves the same bit for bit."""
    model = lived(make, row)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, row.name)
        written = json.loads((Path(folder) / "config.json").read_text())
        tensors = load_file(Path(folder) / "model.safetensors")
    assert (written["schema"], written["system"]) == (SCHEMA, row.name)
    with seeded(1):
        again = row.load()(**decode(written["config"]))
    load_tensors(again, tensors, "model.safetensors")
    assert encode(again.config) == encode(model.config), "the loaded configuration differs"
    compare(behaviour(model, row), behaviour(again, row), "the loaded model")


@law()
def law_copies(make: Make, row: System) -> None:
    """A deep copy behaves the same, and owns its tensors."""
    model = lived(make, row)
    before = behaviour(model, row)
    twin = copy.deepcopy(model)
    compare(before, behaviour(twin, row), "the copy")
    with torch.no_grad():
        for value in twin.state_dict().values():
            if value.is_floating_point():
                value.add_(1)
    compare(before, behaviour(model, row), "the original, after its copy was changed,")
    changed = behaviour(twin, row)
    same = all(torch.equal(value, changed[name]) for name, value in before.items())
    assert not same or not before, "the copy does not use its own tensors"


@law()
def law_every_parameter_learns(make: Make, row: System) -> None:
    """Each parameter that requires a gradient gets a finite, non-zero one from some phase."""
    model = make()
    model.prepare(batch_of(model, row=row))
    names = {parameter: name for name, parameter in model.named_parameters()}
    wanted = {name for parameter, name in names.items() if parameter.requires_grad}
    turns = list(model.phases())
    assert turns, "the model has no phases"
    reached: set[str] = set()
    for step in range(4):
        for turn in turns:
            foreign = [p for p in turn.parameters if p not in names]
            assert not foreign, f"phase {turn.name} changes parameters that are not the model's"
            reached |= {
                names[p] for p in _moved_by(turn, batch_of(model, seed=step, row=row), step)
            }
        if reached >= wanted:
            break
    missing = sorted(wanted - reached)
    assert not missing, f"no phase ever gives a gradient to {', '.join(missing)}"


@law()
def law_phases_are_stable(make: Make, row: System) -> None:
    """Names and parameters of phases are the same each time, as a resumed run needs them."""

    def described(model: Model) -> list[tuple[str, list[str], int, int]]:
        names = {parameter: name for name, parameter in model.named_parameters()}
        return [
            (t.name, [names.get(p, "?") for p in t.parameters], t.every, t.repeat)
            for t in model.phases()
        ]

    model = make()
    before = described(model)
    assert len({turn[0] for turn in before}) == len(before), "two phases share a name"
    for name, parameters, _, _ in before:
        assert len(set(parameters)) == len(parameters), f"phase {name} repeats a parameter"
    assert described(model) == before, "asked again, the model yields other phases"
    assert described(lived(make, row)) == before, "after training, the model yields other phases"


def _moved_by(turn: Phase, batch: Batch, step: int) -> list[torch.nn.Parameter]:
    """Take the phase's turn by plain gradient descent; the parameters with a gradient."""
    parameters = list(turn.parameters)
    if turn.update is not None:
        before = [p.detach().clone() for p in parameters]
        turn.update(batch, OneProcess(step))
        return [p for p, old in zip(parameters, before, strict=True) if not torch.equal(p, old)]
    assert turn.loss is not None
    total = turn.loss(batch).total
    assert total.requires_grad, f"the loss of phase {turn.name} depends on no parameter"
    grads = torch.autograd.grad(total, parameters, allow_unused=True)
    moved = []
    with torch.no_grad():
        for parameter, grad in zip(parameters, grads, strict=True):
            if grad is None:
                continue
            assert torch.isfinite(grad).all(), (
                f"phase {turn.name} gives a gradient that is not finite"
            )
            # A layer behind one that starts at zero gets its gradient only after a step.
            parameter -= 0.01 * grad / grad.norm().clamp(min=1e-12)
            if bool(grad.any()):
                moved.append(parameter)
    return moved


@law(when=with_losses)
def law_loss_is_a_mean(make: Make, row: System) -> None:
    """A batch's loss is the weighted mean of its micro-batches', noise included (1e-5)."""

    def losses(rows: slice) -> dict[str, Loss]:
        model = copy.deepcopy(lived(make, row, steps=1))  # a loss may change what it counts
        batch = batch_of(model, row=row)
        turns = [turn for turn in model.phases() if turn.loss is not None]
        return {turn.name: turn.loss(batch[rows]) for turn in turns if turn.loss is not None}

    whole, first, second = losses(slice(0, 8)), losses(slice(0, 3)), losses(slice(3, 8))
    for phase, loss in whole.items():
        total = loss.total.detach()
        assert total.shape == (), f"the loss of phase {phase} has shape {tuple(total.shape)}"
        assert torch.isfinite(total), f"the loss of phase {phase} is {float(total)}"
        parts = (3 * first[phase].total + 5 * second[phase].total).detach() / 8
        _close(float(total), float(parts), f"the loss of phase {phase}")
        for name, term in ((k, v.detach()) for k, v in loss.terms.items()):
            assert term.shape in ((), (8,)), f"term {name} has shape {tuple(term.shape)}"
            assert torch.isfinite(term).all(), f"term {name} is not finite"
            if term.shape == (8,):
                cut = torch.cat([first[phase].terms[name], second[phase].terms[name]]).detach()
                worst = float((cut - term).abs().max() / term.abs().max().clamp(min=1.0))
                assert worst <= 1e-5, f"term {name} of an example depends on its batch: {worst:.1e}"


def _close(whole: float, parts: float, what: str) -> None:
    error = abs(whole - parts) / max(1.0, abs(whole))
    assert error <= 1e-5, (
        f"{what} is {whole:.6g} on a whole batch, {parts:.6g} as the mean over micro-batches"
    )


@law()
def law_global_generators_untouched(make: Make, row: System) -> None:
    """No loss, sampler or bound draws from a global generator or seeds it."""
    model = make()
    batch = partial(batch_of, model, row=row)
    calls: dict[str, Callable[[], object]] = {"prepare": lambda: model.prepare(batch())}
    for turn in model.phases():
        if turn.loss is not None:
            calls[f"the loss of {turn.name}"] = lambda loss=turn.loss: loss(batch())
        else:
            calls[f"the update of {turn.name}"] = lambda f=turn.update: f(batch(), OneProcess(0))
    context = context_of(model, 4)
    calls |= {name: partial(call, context) for name, call in queries(model).items()}
    for name, call in calls.items():
        before = _global_states()
        call()
        assert _global_states() == before, f"{name} touches a global generator"


def _global_states() -> tuple[bytes, bytes, int]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - watched, not used
    return torch.get_rng_state().numpy().tobytes(), repr(state).encode(), hash(random.getstate())


@law()
def law_capabilities_tell_the_truth(make: Make, row: System) -> None:
    """``log_prob`` exists only where it is exact, ``elbo`` only where it bounds."""
    model = make()
    kind = model.likelihood
    allowed = {
        "exact": {"log_prob", "elbo"},
        "bound": {"elbo"},
        "estimate": {"estimate_log_prob"},
        "ode": {"estimate_log_prob"},
        "none": set(),
    }[kind]
    promised = {"exact": "log_prob", "bound": "elbo", "estimate": "estimate_log_prob"}.get(kind)
    for name in ("log_prob", "elbo", "estimate_log_prob"):
        if name not in allowed:
            assert not hasattr(model, name), f"the likelihood is {kind!r}, yet {name} exists"
    assert promised is None or hasattr(model, promised), (
        f"the likelihood is {kind!r}: no {promised}"
    )
    protocols = {
        Samples: "sample",
        Density: "log_prob",
        Bounded: "elbo",
        Estimated: "estimate_log_prob",
        Encodes: "encode",
        Invertible: "forward_and_log_det",
    }
    for protocol, name in protocols.items():
        has = hasattr(model, name)
        assert isinstance(model, protocol) == has, f"{protocol.__name__} disagrees with {name}"
        if not has and hasattr(type(model), name):
            _says_why(model, name)


def _says_why(model: Model, name: str) -> None:
    try:
        getattr(model, name)
    except AttributeError as error:
        one_sentence(error)


@law(when=with_any(*ASKED, *_BIJECTIVE))
def law_refuses_bad_input(make: Make, row: System) -> None:
    """NaN, codes out of range, fractions and wrong shapes end in one sentence."""
    model = make()
    good, context = data_of(model, 4), context_of(model, 4)
    bad: dict[str, Tensor] = {"a wrong shape": good[..., :-1]}
    if model.event.levels is None:
        bad["NaN"] = torch.full_like(good, torch.nan)
        bad["infinity"] = torch.full_like(good, torch.inf)
    else:
        bad["a code above the range"] = torch.full_like(good.long(), model.event.levels)
        bad["a negative code"] = torch.full_like(good.long(), -1)
        bad["a fraction"] = torch.full_like(good.float(), 0.5)
    for what, x in bad.items():
        for name, call in queries(model, x).items():
            if name not in ("sample", "sample_path"):
                _refuses(partial(call, context), what, name)
    narrow = torch.zeros(bad["a wrong shape"].shape, dtype=model.dtype)
    for name in _BIJECTIVE:  # of reals, whatever the event
        if hasattr(model, name):
            _refuses(partial(getattr(model, name), narrow, context), "a wrong shape", name)


def _refuses(call: Callable[[], object], what: str, name: str) -> None:
    try:
        call()
    except EventError as error:
        one_sentence(error)
    except Exception as error:
        raise AssertionError(f"{name} meets {what} with {type(error).__name__}: {error}") from error
    else:
        raise AssertionError(f"{name} accepts {what}")


def _told_and_asked(model: Model, row: System) -> bool:
    return bool(model.context) and with_any("sample", *ASKED)(model, row)


@law(when=_told_and_asked)
def law_context_is_used(make: Make, row: System) -> None:
    """What conditions a model matters to it; missing parts and impossible labels are refused."""
    model = lived(make, row)
    calls = queries(model)
    for name, call in calls.items():
        for nothing in (Context(), None):
            if row.name in small.PARTLY_LABELED and model.context.names == ("label",):
                call(nothing)
            else:
                _refuses(partial(call, nothing), "no context", name)
    whole = context_of(model, 4)
    for part in set(model.context.names) - {"label"}:
        spec = getattr(model.context, part)
        changed: dict[str, Any] = {part: examples(spec, 4, seed=1)}
        other = replace(whole, **changed)
        matters = any(not torch.equal(call(whole), call(other)) for call in calls.values())
        assert matters, f"the {part} changes nothing"
    if model.context.label is not None:
        _label_matters(model.context.label, whole, calls)


def _label_matters(
    classes: int, whole: Context, calls: dict[str, Callable[[Context | None], Tensor]]
) -> None:
    three = (0, 1, classes)
    zeros, ones, outside = (replace(whole, label=torch.full((4,), k)) for k in three)
    for name, call in calls.items():
        _refuses(partial(call, outside), "a label out of range", name)
    matters = any(not torch.equal(call(zeros), call(ones)) for call in calls.values())
    assert matters, "the label changes nothing"
