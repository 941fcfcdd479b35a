"""What the laws share: examples of an event, batches, a model that has lived, its behaviour."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from phosphene.catalog import System
from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator, seeded
from tests.helpers.tiny import examples
from tests.laws import small

Make = Callable[[], Model]
Law = Callable[[Make, System], None]

Concern = Callable[[Model, System], bool]

LAWS: dict[str, Law] = {}
CONCERNS: dict[str, Concern] = {}

ASKED = ("log_prob", "elbo", "encode", "reconstruct")
"""What may be asked of examples."""

STATES = 4096
"""Discrete events with at most this many states are enumerated."""

LABELS = ContextSpec(label=3)


def law(*needs: str, when: Concern | None = None) -> Callable[[Law], Law]:
    """Register a law for the models that have these methods, and of which ``when`` holds.

    There is no test of a law for a model that it does not concern; within a law there is no way
    out before something is asserted (see :mod:`tests.laws.counted`).
    """

    def concerns(model: Model, row: System) -> bool:
        return all(hasattr(model, need) for need in needs) and (when is None or when(model, row))

    def register(function: Law) -> Law:
        LAWS[function.__name__] = function
        CONCERNS[function.__name__] = concerns
        return function

    return register


@dataclass(frozen=True)
class Case:
    """A row of the catalogue, built for one event and context with small settings."""

    row: System
    event: Event
    context: ContextSpec | None = None
    settings: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Shown as the test's name: what distinguishes the case."""
        first = small.settings(self.row.name, self.event)[0]
        changed = [f"{k}={v}" for k, v in self.settings.items() if first.get(k) != v]
        parts = [self.row.name, str(self.event).replace(", ", "x").replace(" ", ":")]
        told = [] if self.context is None else [f"{n}s" for n in self.context.names]
        return "-".join([*parts, *told, *changed])

    def make(self) -> Model:
        """A fresh model with the same weights each time."""
        cls = self.row.load()
        with seeded(0):
            return cls(self.event, context=self.context, **self.settings)

    def laws(self) -> list[str]:
        """The names of the laws that concern the case; of a model that cannot be built, one."""
        try:
            model = self.make()
        except Exception:  # which that law then tells of
            return ["law_builds"]
        return [name for name, concerns in CONCERNS.items() if concerns(model, self.row)]


def cases(row: System) -> Iterator[Case]:
    """Every small case of a row: its events with its variants, and with labels."""
    for kind in row.events:
        for event in small.events(row)[kind]:
            variants = small.settings(row.name, event)
            if row.context != "required":
                yield from (Case(row, event, None, settings) for settings in variants)
            if row.context != "none":
                context = small.context(row.name, event) or LABELS
                told = variants if row.context == "required" else variants[:1]
                yield from (Case(row, event, context, settings) for settings in told)


def told(model: Model, row: System) -> bool:
    """Whether it has a context."""
    return bool(model.context)


def with_losses(model: Model, row: System) -> bool:
    """Whether some phase has a loss."""
    return any(turn.loss is not None for turn in model.phases())


def with_any(*methods: str) -> Concern:
    """Models that have one of these methods or more."""
    return lambda model, row: any(hasattr(model, name) for name in methods)


def context_of(model: Model, n: int, *, row: System | None = None, same: bool = False) -> Context:
    """A context for every declared part; ``same`` gives each example the same condition."""
    parts: dict[str, Tensor] = {}
    for name in model.context.names:
        spec = getattr(model.context, name)
        if isinstance(spec, Event):
            value = examples(spec, 1).repeat_interleave(n, 0) if same else examples(spec, n)
        else:
            value = torch.full((n,), 1) if same else torch.arange(n) % spec
            if row is not None and row.name in small.PARTLY_LABELED and not same:
                value = torch.where(torch.arange(n) % 3 == 1, -1, value)
        parts[name] = value.to(model.dtype) if value.is_floating_point() else value
    return Context(**parts)


def conditions(model: Model, row: System, n: int) -> list[Context]:
    """Contexts that give all n examples the same condition: a known one, and none if it may be."""
    known = context_of(model, n, same=True)
    unknown = [Context()] if row.name in small.PARTLY_LABELED else []
    return [known, *unknown]


def data_of(model: Model, n: int, seed: int = 0) -> Tensor:
    """Examples of the model's event; reals in the parameters' type."""
    x = examples(model.event, n, seed)
    return x.to(model.dtype) if x.is_floating_point() else x


def batch_of(model: Model, n: int = 8, seed: int = 0, row: System | None = None) -> Batch:
    """A batch of random examples with a context, and noise of its own."""
    context = context_of(model, n, row=row)
    return Batch.of(data_of(model, n, seed), context, seed=seed)


class OneProcess:
    """The engine's step as an update rule sees it when there is one rank."""

    def __init__(self, number: int) -> None:
        self.number = number

    def all_reduce(self, value: Tensor) -> Tensor:
        return value

    def replace_parameters(
        self, old: nn.Parameter, new: nn.Parameter, index: Tensor
    ) -> nn.Parameter:
        raise AssertionError("no law replaces parameters")


_KEPT: dict[tuple[Any, ...], tuple[Model, list[Any]]] = {}
"""Models that have lived, of the case that was asked for last."""


def lived(
    make: Make, row: System, *, steps: int = 3, dtype: torch.dtype | None = None, own: bool = False
) -> Model:
    """A model after ``prepare`` and a few steps, so that zero-initialised layers hide nothing.

    The laws of a case share it: one that will change it asks for its ``own``. Has it changed
    nevertheless, the next law is given another.
    """
    if own:
        return _living(make, row, steps, dtype)
    key = (make, steps, dtype)
    if any(kept[0] != make for kept in _KEPT):
        _KEPT.clear()
    if key not in _KEPT or _KEPT[key][1] != _versions(_KEPT[key][0]):
        model = _living(make, row, steps, dtype)
        _KEPT[key] = model, _versions(model)
    return _KEPT[key][0]


def _versions(model: Model) -> list[Any]:
    """How often each tensor was written to, which torch counts, and the modes of the modules."""
    tensors = [(id(t), t.dtype, t._version) for t in (*model.parameters(), *model.buffers())]
    return [tensors, [m.training for m in model.modules()]]


def _living(make: Make, row: System, steps: int, dtype: torch.dtype | None) -> Model:
    model = make()
    if dtype is not None:
        model = model.to(dtype)
    model.prepare(batch_of(model, row=row))
    turns = list(model.phases())
    optimizers = [
        torch.optim.Adam(t.parameters, lr=0.01) if t.loss is not None else None for t in turns
    ]
    for step in range(steps):
        for turn, optimizer in zip(turns, optimizers, strict=True):
            batch = batch_of(model, seed=step, row=row)
            if turn.update is not None:
                turn.update(batch, OneProcess(step))
                continue
            assert turn.loss is not None
            assert optimizer is not None
            grads = torch.autograd.grad(
                turn.loss(batch).total, list(turn.parameters), allow_unused=True
            )
            for parameter, grad in zip(turn.parameters, grads, strict=True):
                parameter.grad = grad
            optimizer.step()
            optimizer.zero_grad()
    return model


def queries(model: Model, x: Tensor | None = None) -> dict[str, Callable[[Context | None], Tensor]]:
    """What can be asked of four examples under a context, without a graph and with fixed noise."""
    x = data_of(model, 4, seed=9) if x is None else x
    calls: dict[str, Callable[[Context | None], Tensor]] = {
        "sample": lambda c: model.sample(4, c, generator=generator(5)),
        "log_prob": lambda c: model.log_prob(x, c),
        "elbo": lambda c: model.elbo(x, c, particles=2, generator=generator(6)),
        "encode": lambda c: model.encode(x, c),
        "reconstruct": lambda c: model.reconstruct(x, c),
        "sample_path": lambda c: model.sample_path(4, c, frames=3, generator=generator(5)),
    }
    return {name: torch.no_grad()(call) for name, call in calls.items() if hasattr(model, name)}


def behaviour(model: Model, row: System) -> dict[str, Tensor]:
    """What can be observed of a model, as tensors: two equal models give equal ones.

    The global generator is pinned, so that a model which wrongly draws from it breaks the law
    about that and not every law.
    """
    seen: dict[str, Tensor] = {}
    with seeded(0):
        for turn in model.phases():
            if turn.loss is not None:
                seen[f"loss of {turn.name}"] = turn.loss(batch_of(model, row=row)).total.detach()
        seen |= {name: call(context_of(model, 4)) for name, call in queries(model).items()}
    return seen


def compare(one: dict[str, Tensor], other: dict[str, Tensor], what: str) -> None:
    """Assert that two behaviours are equal, bit for bit."""
    assert one.keys() == other.keys(), f"{what} has other capabilities: {one.keys() ^ other.keys()}"
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{what} gives another {name}"


def one_sentence(error: BaseException) -> None:
    """Assert that an error message is something to show to a person."""
    message = str(error)
    assert len(message) >= 20, f"the message {message!r} says too little"
    assert "\n" not in message, f"the message is not one line: {message!r}"
    assert len(message) < 600, f"the message is too long: {message!r}"


def countable(event: Event) -> bool:
    """Whether an event is discrete, with few enough states to be enumerated."""
    return event.levels is not None and event.levels**event.dimensions <= STATES


def states_of(event: Event) -> Tensor:
    """All values of a countable event (m, *shape)."""
    assert event.levels is not None
    axes = [torch.arange(event.levels)] * event.dimensions
    return torch.cartesian_prod(*axes).reshape(-1, *event.shape).to(torch.uint8)


def plane(around: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Points (side^2, 2) that cover the whole plane, and the logarithm of their areas.

    x = c + s u / (1 - u^2) maps (-1, 1) to the line, dense about the points ``around``; the
    trapezoidal rule in u then converges fast for smooth densities, and no tail is cut off.
    """
    u = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 - 1
    stretch = u / (1 - u**2)
    slope = (1 + u**2) / (1 - u**2) ** 2 * (2 / side)
    center, scale = around.double().mean(0), around.double().std(0)
    xs = [center[k] + scale[k] * stretch for k in range(2)]
    areas = (slope[:, None] * slope[None, :] * scale[0] * scale[1]).flatten().log()
    return torch.cartesian_prod(*xs), areas
