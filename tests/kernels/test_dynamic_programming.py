"""Kernels of dynamic programming against their references."""

import numpy as np
import pytest
import torch

from phosphene.kernels.dynamic_programming import (
    Process,
    gauss_seidel,
    gauss_seidel_reference,
    greedy,
    greedy_reference,
    sweeps,
    sweeps_reference,
    well_formed,
)
from phosphene.kernels.library import backend, forced

native = pytest.mark.skipif(backend().library is None, reason=backend().why)


def problem(states=57, actions=3, seed=0, gamma=0.9, ends=False):
    """Rows of one to five outcomes, in no order."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 6, states * actions)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    weight = rng.random(indptr[-1])
    weight /= np.repeat(np.add.reduceat(weight, indptr[:-1]), counts)
    if ends:
        weight[rng.random(len(weight)) < 0.2] = 0.0
    after = rng.integers(states, size=indptr[-1]).astype(np.int32)
    rewards = rng.standard_normal((states, actions))
    process = Process(states, actions, indptr, after, weight, rewards, gamma)
    return process, rng.standard_normal(states), rng.integers(actions, size=states)


def same(ours, reference):
    np.testing.assert_allclose(ours.values, reference.values, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.changes, reference.changes, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        [ours.low, ours.high], [reference.low, reference.high], rtol=1e-9, atol=1e-12
    )


@native
@pytest.mark.parametrize("states", [1, 2, 57, 5000])
@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("fixed", [False, True])
def test_sweeps_are_those_of_the_reference(states, count, fixed):
    process, v, policy = problem(states)
    chosen = policy if fixed else None
    ours = sweeps(process, v, policy=chosen, count=count)
    same(ours, sweeps_reference(process, v, policy=chosen, count=count))


@native
@pytest.mark.parametrize("ends", [False, True])
def test_sweeps_stop_where_those_of_the_reference_do(ends):
    process, v, _ = problem(ends=ends)
    options = {"count": 500, "tolerance": 1e-7, "factor": 9.0, "ends": ends}
    ours, reference = sweeps(process, v, **options), sweeps_reference(process, v, **options)
    assert 5 < len(ours.changes) < 400
    same(ours, reference)


@native
@pytest.mark.parametrize(("ends", "gamma"), [(False, 0.9), (True, 0.9), (False, 0.5), (True, 0.99)])
def test_leaving_actions_out_changes_no_bit(ends, gamma):
    factor = gamma / (1 - gamma)
    for seed in range(5):
        process, v, _ = problem(states=900, actions=6, seed=seed, gamma=gamma, ends=ends)
        options = {"count": 400, "tolerance": 1e-9, "factor": factor, "ends": ends}
        plain = sweeps(process, v, **options)
        fewer = sweeps(process, v, **options, carried=gamma)
        assert np.array_equal(plain.values, fewer.values)
        assert np.array_equal(plain.changes, fewer.changes)


@native
def test_leaving_actions_out_keeps_those_that_are_equally_good():
    process, v, _ = problem(states=40, actions=1, gamma=0.9)
    rows = [slice(a, b) for a, b in zip(process.indptr[:-1], process.indptr[1:], strict=True)]
    twice = [i for i in rows for _ in range(2)]
    counts = [i.stop - i.start for i in twice]
    both = Process(
        40,
        2,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        # The second action is the first with its outcomes in another order.
        np.concatenate([process.next[i][:: 1 - 2 * (k % 2)] for k, i in enumerate(twice)]),
        np.concatenate([process.weight[i][:: 1 - 2 * (k % 2)] for k, i in enumerate(twice)]),
        np.repeat(process.rewards, 2, axis=1),
        0.9,
    )
    options = {"count": 400, "tolerance": 1e-9, "factor": 9.0}
    assert np.array_equal(
        sweeps(both, v, **options).values, sweeps(both, v, **options, carried=0.9).values
    )


@native
@pytest.mark.parametrize("first", [0, 1])
def test_gauss_seidel_is_that_of_the_reference(first):
    process, v, _ = problem()
    options = {"first": first, "count": 60, "least": 1e-3}
    ours = gauss_seidel(process, v, **options)
    assert len(ours.changes) < 60
    same(ours, gauss_seidel_reference(process, v, **options))


@native
@pytest.mark.parametrize("with_q", [False, True])
@pytest.mark.parametrize("states", [1, 57, 5000])
def test_greedy_is_that_of_the_reference(states, with_q):
    process, v, policy = problem(states, actions=4)
    for old, slack in ((None, 0.0), (policy, 0.0), (policy, 0.5)):
        ours = greedy(process, v, policy=old, slack=slack, with_q=with_q)
        reference = greedy_reference(process, v, policy=old, slack=slack, with_q=with_q)
        np.testing.assert_allclose(ours.values, reference.values, rtol=1e-12, atol=1e-12)
        assert np.array_equal(ours.policy, reference.policy)
        assert ours.changed == reference.changed
        assert ours.low == pytest.approx(reference.low, abs=1e-12)
        assert ours.high == pytest.approx(reference.high, abs=1e-12)
        if with_q:
            np.testing.assert_allclose(ours.q, reference.q, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("choice", ["auto", "off"])
def test_greedy_keeps_an_action_that_is_as_good(choice):
    process, v, _ = problem(actions=3)
    equal = Process(
        57, 3, process.indptr, np.zeros_like(process.next), process.weight, np.zeros((57, 3)), 0.9
    )
    with forced(choice):
        old = np.full(57, 2)
        assert (greedy(equal, v, policy=old, slack=1e-12).policy == 2).all()
        assert (greedy(equal, v, slack=1e-12).policy == 0).all()


@native
def test_one_thread_and_two_give_the_same_bits():
    process, v, policy = problem(states=20_000, actions=4, gamma=0.9)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            options = {"count": 40, "factor": 9.0}
            found.append(
                [
                    sweeps(process, v, **options).values,
                    sweeps(process, v, **options, carried=0.9).changes,
                    sweeps(process, v, policy=policy, count=5).values,
                    greedy(process, v).q,
                    greedy(process, v, policy=policy, with_q=False).policy,
                    gauss_seidel(process, v, count=2).values,
                ]
            )
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_build_agrees(level):
    process, v, _ = problem()
    with forced(level) as found:
        if found.library is None:
            pytest.skip(found.why)
        ours = sweeps(process, v, count=9)
    same(ours, sweeps_reference(process, v, count=9))


def test_off_goes_to_the_reference():
    process, v, policy = problem()
    with forced("off"):
        assert np.array_equal(
            sweeps(process, v, policy=policy, count=3).values,
            sweeps_reference(process, v, policy=policy, count=3).values,
        )
        assert not well_formed(57, 3, process.indptr, process.next, process.weight)


@native
def test_values_given_are_not_written_to():
    process, v, policy = problem()
    kept, chosen = v.copy(), policy.copy()
    sweeps(process, v, count=3)
    gauss_seidel(process, v, count=3)
    greedy(process, v, policy=policy)
    assert np.array_equal(v, kept)
    assert np.array_equal(policy, chosen)


@native
@pytest.mark.parametrize(
    ("place", "value"), [("weight", np.nan), ("weight", -0.1), ("next", 57), ("next", -1)]
)
def test_what_is_not_well_formed_is_seen(place, value):
    process, _, _ = problem()
    assert well_formed(57, 3, process.indptr, process.next, process.weight)
    after, weight = process.next.copy(), process.weight.copy()
    (after if place == "next" else weight)[100] = value
    assert not well_formed(57, 3, process.indptr, after, weight)
    short = process.weight.copy()
    short[-1] -= 1e-9
    assert not well_formed(57, 3, process.indptr, process.next, short)
