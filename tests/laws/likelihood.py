"""Laws of probability: densities sum to one, bounds bound, bijections invert, samplers obey."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from phosphene.catalog import System
from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.rng import generator, seeded
from phosphene.generative.autoregressive.autoregressive import Autoregressive
from phosphene.kernels.library import forced
from phosphene.nn.choosing import Choosing
from tests.laws import small
from tests.laws.support import (
    Make,
    batch_of,
    conditions,
    context_of,
    countable,
    data_of,
    law,
    lived,
    plane,
    states_of,
    with_any,
)

ROUNDS = 8
"""Independent estimates of each bound, from which its standard error comes."""

STEPS = 20
"""Enough training that a posterior differs between examples, and covers its weights."""


def _summable(model: Model, row: System) -> bool:
    return countable(model.event) or model.event == Event.real(2)


def _estimates_likelihood(model: Model, row: System) -> bool:
    """A bound whose particles do not weight one another estimates nothing."""
    return _summable(model, row) and model.weights_particles


def _says_how_often(model: Model, row: System) -> bool:
    """A density that spills over the bins of the codes says less than that."""
    sure = countable(model.event) and with_any("log_prob", "elbo")(model, row)
    return sure and model.weights_particles and not getattr(model, "spills", False)


@law("log_prob", when=_summable)
def law_density_is_normalized(make: Make, row: System) -> None:
    """Probabilities sum to 1 over all states (1e-6), densities integrate to 1 (1e-3)."""
    model = lived(make, row, dtype=torch.float64)
    if countable(model.event):
        states = states_of(model.event)
        for known in range(len(conditions(model, row, 1))):
            total = float(_log_prob(model, states, row, known).exp().sum())
            assert abs(total - 1) <= 1e-6, f"the probabilities sum to {total:.8g}"
    else:
        for label in range(model.context.label or 1):
            # A kink slows the rule down; halving the step shows whether the sum goes to 1.
            totals: list[float] = []
            for side in (151, 301, 601):
                if not totals or abs(totals[-1] - 1) > 1e-3:
                    totals.append(_integral(model, side, label))
            assert abs(totals[-1] - 1) <= 1e-3, f"its integral is {totals[-1]:.6g}"


def _integral(model: Model, side: int, label: int) -> float:
    points, areas = plane(data_of(model, 256), side)
    return float((_log_prob(model, points.to(model.dtype), label=label) + areas).exp().sum())


def _log_prob(
    model: Model, x: Tensor, row: System | None = None, known: int = 0, label: int = 1
) -> Tensor:
    """Log-probabilities of many examples under one and the same context."""
    parts = []
    with torch.no_grad():
        for part in x.split(8192):
            context = context_of(model, len(part), same=True)
            if context.label is not None:
                context = replace(context, label=torch.full_like(context.label, label))
            if row is not None:
                context = conditions(model, row, len(part))[known]
            parts.append(model.log_prob(part, context))
    assert parts[0].shape == (len(x[:8192]),), f"log_prob has shape {tuple(parts[0].shape)}"
    return torch.cat(parts)


@law("elbo")
def law_bounds_are_in_order(make: Make, row: System) -> None:
    """elbo <= importance-weighted bound <= exact, each within four standard errors."""
    model = lived(make, row, dtype=torch.float64)
    x, context = data_of(model, 8), context_of(model, 8)
    one, one_error = _bound(model, x, context, particles=1)
    ten, ten_error = _bound(model, x, context, particles=10)
    slack = 4 * math.hypot(one_error, ten_error) + 1e-9
    assert one <= ten + slack, f"elbo {one:.4f} > importance-weighted {ten:.4f} + {slack:.4f}"
    if hasattr(model, "log_prob"):
        with torch.no_grad():
            exact = float(model.log_prob(x, context).mean())
        for name, value, error in (("elbo", one, one_error), ("10 particles", ten, ten_error)):
            assert value <= exact + 4 * error + 1e-9, f"{name}: {value:.4f} > exact {exact:.4f}"


def _bound(model: Model, x: Tensor, context: Context, particles: int) -> tuple[float, float]:
    """Mean of the bound over examples and rounds, and its standard error."""
    rounds = x.repeat_interleave(ROUNDS, dim=0)
    with torch.no_grad():
        values = model.elbo(
            rounds, context.repeat(ROUNDS), particles=particles, generator=generator(particles)
        )
    assert values.shape == (len(rounds),), f"elbo has shape {tuple(values.shape)}"
    assert torch.isfinite(values).all(), "the bound is not finite"
    values = values.double().reshape(len(x), ROUNDS)
    return float(values.mean()), float((values.var(1) / ROUNDS / len(x)).mean().sqrt())


@law("elbo", when=_estimates_likelihood)
def law_importance_weights_are_unbiased(make: Make, row: System) -> None:
    """E exp(bound) = p(x) for importance weights: over all states the estimates sum to 1.

    A density that spills over the bins of the codes leaves them less than 1.
    """
    model = lived(make, row, steps=STEPS, dtype=torch.float64)
    for known in range(len(conditions(model, row, 1))):
        estimates = _estimates(model, row, known, particles=8)
        sums = estimates.sum(1)
        # The spread of a few sums is itself uncertain; that of all states is not, if they are
        # independent. The larger of the two is taken.
        spread = torch.stack([sums.var(), estimates.var(0).sum()]).max()
        total, error = float(sums.mean()), float((spread / ROUNDS).sqrt())
        slack = 4 * error + (5e-3 if model.event.levels is None else 1e-9)
        if getattr(model, "spills", False):
            assert 0 < total <= 1 + slack, f"the estimates sum to {total:.5f}, more than 1"
            continue
        assert abs(total - 1) <= slack, f"the estimates sum to {total:.5f}, not 1 +- {slack:.5f}"


def _estimates(model: Model, row: System, known: int, particles: int) -> Tensor:
    """Unbiased estimates of the probability of every state, or cell of the plane."""
    if countable(model.event):
        states, areas = states_of(model.event), torch.zeros(1)
    else:
        states, areas = plane(data_of(model, 256), 45)
        states = states.to(model.dtype)
    context = conditions(model, row, len(states))[known]
    rounds = []
    with torch.no_grad():
        for k in range(ROUNDS):
            bound = model.elbo(states, context, particles=particles, generator=generator(3, k))
            rounds.append((bound.double() + areas).exp())
    return torch.stack(rounds)


@law("sample", when=_says_how_often)
def law_samples_follow_the_density(make: Make, row: System) -> None:
    """Samples have the frequencies that the likelihood says (chi-square within 5 deviations)."""
    model = lived(make, row, steps=STEPS, dtype=torch.float64)
    states = states_of(model.event)
    n = 4096
    for known, context in enumerate(conditions(model, row, n)):
        if hasattr(model, "log_prob"):
            p = _log_prob(model, states, row, known).double().exp()
            error = torch.zeros_like(p)
        else:
            for particles in (16, 64, 256):  # as many as a narrow posterior needs
                estimates = _estimates(model, row, known, particles)
                p, error = estimates.mean(0), estimates.std(0) / math.sqrt(ROUNDS)
                if float((error / p).mean()) < 0.05:
                    break
        x = model.sample(n, context, generator=generator(2))
        excess = _excess(_counts(x, len(p), model.event.levels), n * p, n * error)
        assert excess <= 5, f"samples deviate from the likelihood by {excess:.1f} deviations"


def _excess(counts: Tensor, expected: Tensor, error: Tensor) -> float:
    """Chi-square of counts, in standard deviations above its mean."""
    # Rare states are counted together, so that the counts are nearly normal.
    common = expected >= 5
    group = torch.where(common, common.cumsum(0) - 1, common.sum())
    expected, counts, spread = (
        torch.zeros(int(common.sum()) + 1).double().index_add(0, group, value)
        for value in (expected, counts, expected + error**2)
    )
    square = float(((counts - expected) ** 2 / spread.clamp(min=1e-9)).sum())
    freedom = max(len(expected) - 1, 1)
    return (square - freedom) / math.sqrt(2 * freedom)


def _counts(x: Tensor, states: int, levels: int | None) -> Tensor:
    """How often each state occurs, in the order of ``states_of``."""
    assert levels is not None
    place = levels ** torch.arange(x[0].numel() - 1, -1, -1)
    number = (x.flatten(1).long() * place).sum(1).clamp(0, states - 1)
    return torch.bincount(number, minlength=states).double()


@law("forward_and_log_det")
def law_inverts(make: Make, row: System) -> None:
    """inverse(forward(x)) = x: 1e-5 in float32, 1e-10 in float64, relative to the largest |x|."""
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-10)):
        model = lived(make, row, dtype=dtype)
        x, context = _continuous(model, 8), context_of(model, 8)
        for training in (True, False):
            model.train(training)
            with torch.no_grad():
                z, log_det = model.forward_and_log_det(x, context)
                back = model.inverse(z, context)
            assert z.shape == x.shape, f"a latent of shape {tuple(z.shape)} for {tuple(x.shape)}"
            assert log_det.shape == (8,), f"a log-determinant of shape {tuple(log_det.shape)}"
            worst = float((back - x).abs().max() / x.abs().max())
            assert worst <= tolerance, f"inverse(forward(x)) is off by {worst:.1e} in {dtype}"
        model.train()


@law("forward_and_log_det", when=lambda model, row: model.event.dimensions <= 64)
def law_log_determinant_is_autograds(make: Make, row: System) -> None:
    """The log-determinant equals slogdet of autograd's Jacobian (1e-8, float64)."""
    model = lived(make, row, dtype=torch.float64)
    x, context = _continuous(model, 3), context_of(model, 3)
    with torch.no_grad():
        _, log_det = model.forward_and_log_det(x, context)
        model.eval()
        _, evaluated = model.forward_and_log_det(x, context)
        model.train()
    moved = float((evaluated - log_det).abs().max())
    assert moved <= 1e-8, f"the log-determinant differs by {moved:.1e} in evaluation mode"
    for i in range(3):
        rows = slice(i, i + 1)

        def forward(v: Tensor, rows: slice = rows) -> Tensor:
            return model.forward_and_log_det(v[None], context[rows])[0].flatten()

        jacobian = torch.autograd.functional.jacobian(forward, x[i])
        exact = torch.linalg.slogdet(jacobian.reshape(x[i].numel(), -1))[1]
        error = abs(float(log_det[i] - exact)) / max(1.0, abs(float(exact)))
        assert error <= 1e-8, f"log-determinant {float(log_det[i]):.6f}, autograd says {exact:.6f}"


def _continuous(model: Model, n: int) -> Tensor:
    """Points after the codec, where the bijection acts."""
    g = generator(7)
    return torch.randn((n, *model.event.shape), generator=g, dtype=torch.float64).to(model.dtype)


@law("conditionals")
def law_conditionals_look_back_only(make: Make, row: System) -> None:
    """p(x_i | ...) does not move when x_i or anything after it in the order is changed.

    A hook: an autoregressive model exposes ``conditionals(x, context) -> (n, D, ...)``, the
    parameters of each conditional, and ``order`` (D,), the dimensions in the order of generation.
    """
    model = lived(make, row, dtype=torch.float64)
    x, context = data_of(model, 4), context_of(model, 4)
    for member in range(getattr(model, "members", 1)):
        _looks_back_only(model, x, context, member)


def _looks_back_only(model: Model, x: Tensor, context: Context, member: int) -> None:
    which = {"member": member} if member else {}
    order = [int(i) for i in (model.order_of(member) if member else torch.as_tensor(model.order))]
    assert sorted(order) == list(range(model.event.dimensions)), "the order is no permutation"
    with torch.no_grad():
        before = model.conditionals(x, context, **which)
        for step, j in enumerate(order):
            moved = x.clone().flatten(1)
            levels = model.event.levels
            moved[:, j] = moved[:, j] + 1 if levels is None else (moved[:, j] + 1) % levels
            after = model.conditionals(moved.reshape(x.shape), context, **which)
            still = order[: step + 1]
            leak = float((after[:, still] - before[:, still]).abs().max())
            assert leak <= 1e-12, f"conditionals {still} move by {leak:.1e} when x_{j} changes"


@law("log_prob_sequential")
def law_parallel_equals_sequential(make: Make, row: System) -> None:
    """The likelihood computed in one pass equals the one computed step by step (1e-10)."""
    model = lived(make, row, dtype=torch.float64)
    x, context = data_of(model, 4), context_of(model, 4)
    with torch.no_grad():
        fast, slow = model.log_prob(x, context), model.log_prob_sequential(x, context)
    worst = float((fast - slow).abs().max())
    assert worst <= 1e-10, f"parallel and sequential likelihoods differ by {worst:.1e}"


@law("generate")
def law_fast_sampler_equals_naive(make: Make, row: System) -> None:
    """Given the same uniform numbers, both samplers draw the same values (float64).

    A hook: ``generate(u, context, how=, member=, naive=)`` of a model that generates in turns.
    """
    model = lived(make, row, dtype=torch.float64)
    n = 12
    context = context_of(model, n)
    shape = (n, model.event.dimensions, model.conditional.uniforms)
    u = torch.rand(shape, generator=generator(8), dtype=torch.float64)
    member = torch.arange(n) % model.members
    greedy_or_sharp = (Choosing(), Choosing(temperature=0.7), Choosing(temperature=0.0))
    some = (Choosing(top_k=2), Choosing(top_p=0.8)) if model.event.discrete else ()
    with torch.no_grad():
        for how in (*greedy_or_sharp, *some):
            fast, slow = (
                model.generate(u, context, how=how, member=member, naive=naive)
                for naive in (False, True)
            )
            if model.event.discrete:
                assert torch.equal(fast, slow), f"{how}: the fast sampler draws other codes"
            else:
                worst = float((fast - slow).abs().max())
                assert worst <= 1e-9, f"{how}: the fast sampler is off by {worst:.1e}"


def _has_a_fast_sampler(model: Model, row: System) -> bool:
    """One event of each kind; of models with a context, one kind: once is enough."""
    kind = small.kind_of(model.event)
    first = model.event == small.events(row)[kind][0] and (
        not model.context or kind == row.events[0]
    )
    naive = getattr(type(model), "stepper", None) is Autoregressive.stepper
    return first and not naive and row.name not in small.SHORT_ONLY


@law("generate", when=_has_a_fast_sampler)
def law_long_samples_are_draws_of_the_conditionals(make: Make, row: System) -> None:
    """On 130 values or more, native and in torch: x_i is what its conditional given x draws by u_i.

    The conditionals of all values come from one parallel pass over the sample, so that this is
    the law of the fast sampler where to compare with the naive one would take too long.
    """
    model = make()
    _draws_its_conditionals(_longer(model, small.LONG[small.kind_of(model.event)]))


def _longer(short: Model, event: Event) -> Model:
    """The same model of another event, with random weights that leave conditionals uneven."""
    config = {**short.config, "event": event}
    with seeded(0):
        model = type(short)(**config).to(torch.float64)
        model.prepare(batch_of(model))
        for p in model.parameters():
            p.data.add_(0.1 * torch.randn_like(p) * (1.0 if p.any() else 2.0))
    return model.eval()


@torch.no_grad()
def _draws_its_conditionals(model: Model) -> None:
    n = max(2, model.members)
    member = torch.arange(n) % model.members
    shape = (n, model.event.dimensions, model.conditional.uniforms)
    u = torch.rand(shape, generator=generator(8), dtype=torch.float64)
    context = context_of(model, n)
    for backend in ("auto", "off"):
        with forced(backend):
            x = model.generate(u, context, member=member)
        for m in range(model.members):
            rows = member == m
            params = model.conditionals(x[rows], context[rows.nonzero()[:, 0]], member=m)
            flat = x[rows].flatten(1).double()
            for k, i in enumerate(model.order_of(m).tolist()):
                drawn = model.conditional.draw(params[:, i], u[rows, i], Choosing(), i)
                off = float((drawn.double() - flat[:, i]).abs().max())
                assert off <= 1e-7, f"kernels {backend}: value {k} of member {m} is off by {off:g}"


@law()
def law_loss_is_finite_in_double(make: Make, row: System) -> None:
    """A model moved to float64 trains there: noise and context are cast, not the weights."""
    model = lived(make, row, dtype=torch.float64)
    assert model.dtype in (torch.float64, torch.get_default_dtype()), f"became {model.dtype}"
    for turn in model.phases():
        if turn.loss is not None:
            total = turn.loss(_batch(model)).total
            assert torch.isfinite(total), f"the loss of {turn.name} is {float(total)}"


def _batch(model: Model) -> Batch:
    return Batch.of(data_of(model, 8), context_of(model, 8))
