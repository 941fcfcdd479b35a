"""The kernel of tabular learning against its reference: every method, exploration, cut."""

from dataclasses import fields, replace

import pytest
import torch

from phosphene.kernels.library import backend, forced
from phosphene.kernels.tabular import (
    Progress,
    ScheduleCode,
    Settings,
    TableWorld,
    advance,
    advance_reference,
    tabular_usable,
    uniform,
)

pytestmark = pytest.mark.skipif(backend().library is None, reason=backend().why)

HALF = ScheduleCode(0, 0, 0.5)
METHODS = {
    "monte-carlo first": {"method": "monte-carlo"},
    "monte-carlo every": {"method": "monte-carlo", "first_visit": False},
    "monte-carlo values": {"method": "monte-carlo", "width": 1},
    "sarsa": {"method": "sarsa"},
    "sarsa(lambda)": {"method": "sarsa", "lambda_": 0.8},
    "sarsa(lambda) replacing": {"method": "sarsa", "lambda_": 0.9, "replacing": True},
    "sarsa(lambda) offline": {"method": "sarsa", "lambda_": 0.7, "offline": True},
    "td": {"method": "sarsa", "width": 1},
    "td(lambda)": {"method": "sarsa", "width": 1, "lambda_": 0.8},
    "td offline": {"method": "sarsa", "width": 1, "offline": True},
    "expected-sarsa": {"method": "expected-sarsa"},
    "q-learning": {"method": "q-learning"},
    "double-q-learning": {"method": "double-q-learning"},
    "n-step 1": {"method": "n-step", "n": 1},
    "n-step 3": {"method": "n-step", "n": 3},
    "n-step 20": {"method": "n-step", "n": 20},
    "n-step values": {"method": "n-step", "n": 4, "width": 1},
    "none": {"method": "none"},
}
EXPLORATIONS = {
    "epsilon-greedy": {"exploration": "epsilon-greedy", "epsilon": ScheduleCode(0, 0, 0.2)},
    "linear": {"exploration": "epsilon-greedy", "epsilon": ScheduleCode(1, 1, 1.0, 0.1, 20)},
    "first": {
        "exploration": "epsilon-greedy",
        "epsilon": ScheduleCode(2, 0, 1.0, 0.05, 0.99),
        "first_tie": True,
    },
    "softmax": {"exploration": "softmax", "epsilon": ScheduleCode(0, 0, 0.3)},
    "cooling": {"exploration": "softmax", "epsilon": ScheduleCode(3, 0, 50.0, 0.5)},
    "policy": {"exploration": "policy", "epsilon": HALF},
}
ALPHAS = [HALF, ScheduleCode(3, 2, 1.0, 0.7), ScheduleCode(3, 2, 1.0, 1.0)]


def problem(states=12, actions=3, branching=4, seed=0):
    """A process with random outcomes of several lengths, a tenth of which end."""
    g = torch.Generator().manual_seed(seed)
    counts = torch.randint(1, branching * 4, (states * actions,), generator=g)
    indptr = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])
    size = int(indptr[-1])
    cumulative = torch.zeros(size, dtype=torch.float64)
    for low, high in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
        p = torch.rand(high - low, generator=g, dtype=torch.float64)
        cumulative[low:high] = (p / p.sum()).cumsum(0)
        cumulative[high - 1] = 1.0
    world = TableWorld(
        actions,
        indptr,
        torch.randint(0, states, (size,), generator=g).int(),
        cumulative,
        torch.randn(size, generator=g, dtype=torch.float64),
        (torch.rand(size, generator=g) < 0.1).byte(),
        torch.linspace(1 / states, 1, states, dtype=torch.float64),
    )
    p = torch.rand(states, actions, generator=g, dtype=torch.float64)
    p /= p.sum(1, keepdim=True)
    sums = p.cumsum(1)
    sums[:, -1] = 1.0
    return world, torch.stack([sums, p])


def settings(world, method, exploration, **changes):
    states, actions = len(world.start), world.actions
    given = {
        "width": actions, "alpha": HALF, "gamma": 0.9, "limit": 15, "history": 7, "key": 99,
        **METHODS[method], **EXPLORATIONS[exploration], **changes,
    }  # fmt: skip
    return Settings(states, actions, **given)


def followed(given, policy):
    return policy if given.exploration == "policy" else None


def begin(given):
    shape = (given.states, given.width)
    shape = (2, *shape) if given.method == "double-q-learning" else shape
    # Equal values in places, so that there are ties.
    table = torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(1)).double()
    return Progress.begin(given, table)


def assert_same(one, other):
    clock, live = int(one.at[2]), int(one.at[5])
    for f in fields(Progress):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if f.name == "live":  # beyond its length is what was there before
            a, b = a.view(-1)[:live], b.view(-1)[:live]
        if f.name in ("keys", "rewards", "firsts") and len(one.seen):
            a, b = a[:clock], b[:clock]
        assert torch.equal(a, b), f.name


PAIRS = [
    (method, exploration)
    for method, values in METHODS.items()
    for exploration in EXPLORATIONS
    if exploration == "policy" or values.get("width") != 1
]


def usual(method):
    """An exploration that the method can have."""
    return "policy" if METHODS[method].get("width") == 1 else "epsilon-greedy"


@pytest.mark.parametrize(("method", "exploration"), PAIRS)
def test_bits_are_those_of_the_reference(method, exploration):
    world, policy = problem()
    for k, alpha in enumerate(ALPHAS):
        given = settings(world, method, exploration, alpha=alpha, limit=(15, 0, 4)[k])
        one, other = begin(given), begin(given)
        met = [
            run(world, given, p, steps=257, policy=followed(given, policy), record=True)
            for run, p in ((advance, one), (advance_reference, other))
        ]
        assert_same(one, other)
        assert torch.equal(met[0].path, met[1].path)
        assert torch.equal(met[0].reward, met[1].reward)
        assert int(one.at[4]) == 257
        assert int(one.at[3]) > 5


@pytest.mark.parametrize("method", METHODS)
def test_where_a_run_is_cut_changes_nothing(method):
    world, policy = problem(seed=3)
    given = settings(world, method, usual(method), alpha=ALPHAS[1])
    policy = followed(given, policy)
    whole, cut = begin(given), begin(given)
    advance(world, given, whole, steps=500, policy=policy)
    for steps in (1, 2, 7, 90, 250, 150):
        advance(world, given, cut, steps=steps, policy=policy)
    assert_same(whole, cut)
    by_one = begin(given)
    while int(by_one.at[4]) < 500:
        run = advance if int(by_one.at[4]) % 3 else advance_reference
        run(world, given, by_one, steps=1, policy=policy)
    assert_same(whole, by_one)


@pytest.mark.parametrize("method", METHODS)
def test_episodes_stop_it(method):
    world, policy = problem()
    given = settings(world, method, usual(method))
    policy = followed(given, policy)
    one, other = begin(given), begin(given)
    advance(world, given, one, steps=10**6, episodes=23, policy=policy)
    advance_reference(world, given, other, steps=10**6, episodes=23, policy=policy)
    assert int(one.at[3]) == 23
    assert int(one.at[6]) == 1
    assert_same(one, other)


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build_gives_the_same_bits(level):
    world, policy = problem(states=30, actions=5)
    for method, exploration in PAIRS:
        given = settings(world, method, exploration, alpha=ALPHAS[1])
        one, other = begin(given), begin(given)
        with forced(level) as found:
            if found.library is None:
                pytest.skip(found.why)
            advance(world, given, one, steps=2000, policy=followed(given, policy))
        with forced("baseline"):
            advance(world, given, other, steps=2000, policy=followed(given, policy))
        assert_same(one, other)


def test_threads_change_nothing():
    world, _ = problem()
    given, before, tables = settings(world, "q-learning", "softmax"), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            progress = begin(given)
            advance(world, given, progress, steps=3000)
            tables.append(progress.table)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*tables)


def test_an_episode_longer_than_the_room_for_it():
    world, _ = problem()
    world = replace(world, ends=torch.zeros_like(world.ends))
    given = settings(world, "monte-carlo every", "epsilon-greedy", limit=70_000, alpha=ALPHAS[2])
    one, other = begin(given), begin(given)
    advance(world, given, one, steps=70_000)
    for _ in range(10):
        advance(world, given, other, steps=7000)
    assert int(one.at[3]) == 1
    assert_same(one, other)
    short = replace(given, limit=500)
    one, other = begin(short), begin(short)
    advance(world, short, one, steps=1300)
    advance_reference(world, short, other, steps=1300)
    assert_same(one, other)


def test_random_numbers_are_uniform_and_independent_of_each_other():
    u = torch.tensor([[uniform(5, t, slot) for slot in range(7)] for t in range(4000)]).double()
    counts = torch.stack([torch.histc(column, 20, 0, 1) for column in u.T])
    chi = ((counts - 200) ** 2 / 200).sum(1)
    assert (chi < 43.8).all()  # the 99.9th percentile of chi squared with 19 degrees of freedom
    correlation = torch.corrcoef(u.T) - torch.eye(7)
    assert correlation.abs().max() < 4 / 4000**0.5
    assert uniform(5, 0, 0) != uniform(6, 0, 0)


def test_not_a_number_does_not_hang_or_crash():
    world, policy = problem()
    for method, exploration in PAIRS:
        given = settings(world, method, exploration)
        progress = begin(given)
        progress.table.fill_(float("nan"))
        advance(world, given, progress, steps=500, policy=followed(given, policy))
        assert int(progress.at[4]) == 500


def test_off_goes_to_the_reference():
    world, _ = problem()
    assert tabular_usable(world)
    given = settings(world, "q-learning", "epsilon-greedy")
    one, other = begin(given), begin(given)
    advance(world, given, one, steps=300)
    with forced("off"):
        assert not tabular_usable(world)
        advance(world, given, other, steps=300)
    assert_same(one, other)
