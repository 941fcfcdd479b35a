"""Laws of the environments with known dynamics, and agreement with gymnasium's."""

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from phosphene.decision.environments.table import make, names
from phosphene.kernels.library import forced

gymnasium = pytest.importorskip("gymnasium")

GYM = [
    "CartPole-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
]
ALL = [*GYM, "Catch"]
BACKENDS = ("auto", "off")
WIDE = {
    "CartPole-v1": ((-2.5, -3, -0.22, -3), (2.5, 3, 0.22, 3)),
    "Acrobot-v1": ((-3.1, -3.1, -12, -28), (3.1, 3.1, 12, 28)),
    "MountainCar-v0": ((-1.2, -0.07), (0.6, 0.07)),
    "MountainCarContinuous-v0": ((-1.2, -0.07), (0.6, 0.07)),
    "Pendulum-v1": ((-9, -8), (9, 8)),
}
FIELDS = ("observation", "reward", "terminated", "truncated", "next")


def built(name, n, backend="auto", **settings):
    with forced(backend):
        return make(name, n, **settings)


def draw(environment, generator, reach=1.3):
    spec, n = environment.spec, environment.n
    if spec.discrete:
        return torch.randint(spec.actions, (n,), generator=generator)
    high = torch.tensor(spec.high)
    return (torch.rand(n, spec.action_dim, generator=generator) * 2 - 1) * reach * high


def peer_step(peer, state, action):
    """One step of gymnasium's from a given state, in float64 throughout."""
    peer.unwrapped.state = np.array(state)
    peer.unwrapped.steps_beyond_terminated = None  # CartPole's: it has not fallen before
    given = int(action) if action.ndim == 0 else action.numpy().astype(np.float64)
    _, reward, terminated, _, _ = peer.unwrapped.step(given)
    return np.array(peer.unwrapped.state, dtype=np.float64), float(reward), terminated


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", GYM)
def test_step_for_step_as_gymnasium(name, backend):
    """From states all over the place: next state, reward and end are the same."""
    environment = built(name, 1500, backend)
    peer = gymnasium.make(name, disable_env_checker=True)
    peer.reset(seed=0)
    environment.reset()
    low, high = (np.array(bound) for bound in WIDE[name])
    state = low + (high - low) * np.random.default_rng(0).random((1500, len(low)))
    environment._state[...] = state
    action = draw(environment, torch.Generator().manual_seed(1))
    moved, reward, over = environment.dynamics.move(state, action.numpy())
    step = environment.step(action)
    ended = 0
    for i in range(1500):
        after, earned, terminated = peer_step(peer, state[i], action[i])
        tolerance = 1e-7 if name == "MountainCarContinuous-v0" else 1e-9  # it keeps float32
        np.testing.assert_allclose(moved[i], after, rtol=0, atol=tolerance)
        assert abs(reward[i] - earned) < 1e-9
        assert bool(step.terminated[i]) == bool(over[i]) == terminated
        assert step.reward[i] == np.float32(earned)
        if not step.done[i]:
            np.testing.assert_allclose(environment.state[i], after, rtol=0, atol=tolerance)
        ended += terminated
    assert ended > 10 or name == "Pendulum-v1"


@pytest.mark.parametrize("name", GYM)
def test_episodes_as_gymnasium(name):
    """Whole episodes side by side: observations, ends, limits."""
    n = 2
    environment = built(name, n, seed=3)
    observation = environment.reset()
    peers = [gymnasium.make(name, disable_env_checker=True) for _ in range(n)]
    for i, peer in enumerate(peers):
        first, _ = peer.reset(seed=0)
        assert first.shape == observation[i].shape
        peer.unwrapped.state = environment.state[i]
    generator, cut = torch.Generator().manual_seed(1), 0
    for _ in range(1020):
        before, action = environment.state, draw(environment, generator)
        step = environment.step(action)
        for i, peer in enumerate(peers):
            peer.unwrapped.state = before[i]
            given = int(action[i]) if action[i].ndim == 0 else action[i].double().numpy()
            seen, reward, terminated, truncated, _ = peer.step(given)
            np.testing.assert_allclose(step.next[i].numpy(), seen, rtol=0, atol=1e-6)
            assert abs(float(step.reward[i]) - reward) < 1e-5
            assert bool(step.terminated[i]) == terminated
            assert bool(step.truncated[i]) == truncated
            cut += truncated
            if terminated or truncated:
                peer.reset()
    assert cut > 0 or name == "CartPole-v1"
    assert environment.spec.limit == gymnasium.spec(name).max_episode_steps


@pytest.mark.parametrize("name", GYM)
def test_specification_as_gymnasium(name):
    spec, peer = make(name).spec, gymnasium.make(name)
    assert spec.observation.shape == peer.observation_space.shape
    if spec.discrete:
        assert spec.actions == peer.action_space.n
    else:
        np.testing.assert_array_equal(spec.low, peer.action_space.low)
        np.testing.assert_array_equal(spec.high, peer.action_space.high)


@pytest.mark.parametrize("name", ALL)
def test_new_episodes_begin_by_themselves(name):
    environment = built(f"{name}?limit=5", 6, seed=2)
    seen = environment.reset()
    generator, clock = torch.Generator().manual_seed(0), torch.zeros(6)
    for _ in range(60):
        step = environment.step(draw(environment, generator))
        clock += 1
        assert torch.equal(step.truncated, clock == 5)
        going = ~step.done
        assert torch.equal(step.next[going], step.observation[going])
        if bool(step.done.any()):
            assert not torch.equal(step.next[step.done], step.observation[step.done])
            assert bool(environment._episode[step.done.numpy()].min() > 0)
        clock[step.done] = 0
        assert torch.equal(environment.observe(), step.observation)
        assert torch.equal(torch.from_numpy(environment._clock), clock.long())
        seen = step.observation
    assert seen.shape == (6, *environment.spec.observation.shape)
    environment.spec.observation.check(seen)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ALL)
def test_a_part_meets_the_episodes_of_the_whole(name, backend):
    name = f"{name}?limit=7"
    whole, parts = built(name, 7, backend, seed=9), [
        built(name, 3, backend, seed=9, first=0),
        built(name, 4, backend, seed=9, first=3),
    ]  # fmt: skip
    assert torch.equal(whole.reset(), torch.cat([part.reset() for part in parts]))
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        action = draw(whole, generator)
        step = whole.step(action)
        answers = [parts[0].step(action[:3]), parts[1].step(action[3:])]
        for field in FIELDS:
            joined = torch.cat([getattr(answer, field) for answer in answers])
            assert torch.equal(getattr(step, field), joined)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ALL)
def test_goes_on_bit_for_bit(name, backend):
    name = f"{name}?limit=11"
    environment = built(name, 5, backend, seed=6)
    environment.reset()
    generator = torch.Generator().manual_seed(0)
    for _ in range(17):
        environment.step(draw(environment, generator))
    saved = environment.state_dict()
    assert all(isinstance(value, torch.Tensor) for value in saved.values())
    plan = [draw(environment, generator) for _ in range(40)]
    expected = [environment.step(action) for action in plan]
    resumed = built(name, 5, backend, seed=6)
    resumed.load_state_dict(saved)
    copies = [resumed]
    if backend == "auto":
        fresh = built(name, 5, backend, seed=6)
        fresh.load_state_dict(saved)
        copies += [copy.deepcopy(fresh), pickle.loads(pickle.dumps(fresh))]
    for one in copies:
        for action, step in zip(plan, expected, strict=True):
            again = one.step(action)
            assert all(torch.equal(getattr(step, f), getattr(again, f)) for f in FIELDS)


def test_answers_are_never_written_again():
    """Every tensor keeps its values while hundreds of steps follow, and is saved alone."""
    environment = make("CartPole-v1", 8)
    kept = [(environment.reset(), None)]
    kept[0] = (kept[0][0], kept[0][0].clone())
    action = torch.ones(8, dtype=torch.int64)
    for _ in range(300):
        step = environment.step(action)
        kept += [(value, value.clone()) for value in (step.observation, step.next, step.reward)]
    assert all(torch.equal(value, before) for value, before in kept)
    addresses = {value.data_ptr() for value, _ in kept}
    assert len(addresses) == len(kept)
    assert step.next.untyped_storage().nbytes() == 8 * 4 * 4


def test_autograd_counts_changes_of_each_answer_apart():
    environment = make("Pendulum-v1", 4)
    environment.reset()
    first, second = (environment.step(torch.zeros(4, 1)) for _ in range(2))
    weight = torch.ones(3, requires_grad=True)
    loss = (first.observation * weight).sum()
    second.observation.mul_(2)
    loss.backward()
    torch.testing.assert_close(weight.grad, first.observation.sum(0))


STARTS = {
    "CartPole-v1": [(-0.05, 0.05)] * 4,
    "Acrobot-v1": [(-0.1, 0.1)] * 4,
    "MountainCar-v0": [(-0.6, -0.4), None],
    "MountainCarContinuous-v0": [(-0.6, -0.4), None],
    "Pendulum-v1": [(-np.pi, np.pi), (-1.0, 1.0)],
}


@pytest.mark.parametrize("name", STARTS)
def test_starts_are_uniform_over_environments_episodes_and_seeds(name):
    """Kolmogorov-Smirnov, over environments, over episodes of one, and over seeds."""
    samples = [make(name, 2000, seed=1)]
    samples[0].reset()
    groups = [samples[0].state]
    one = make(name, 1, seed=2)
    groups.append(np.concatenate([(one.reset(), one.state)[1] for _ in range(2000)]))
    each = [make(name, 1, seed=seed) for seed in range(500)]
    groups.append(np.concatenate([(e.reset(), e.state)[1] for e in each]))
    for group in groups:
        for column, bounds in enumerate(STARTS[name]):
            if bounds is None:
                assert (group[:, column] == 0).all()
                continue
            low, high = bounds
            assert group[:, column].min() >= low
            assert group[:, column].max() < high
            scaled = (group[:, column] - low) / (high - low)
            assert stats.kstest(scaled, "uniform").pvalue > 1e-4
        moving = [k for k, bounds in enumerate(STARTS[name]) if bounds is not None]
        if len(moving) > 1:
            correlation = np.corrcoef(group[:, moving].T) - np.eye(len(moving))
            assert np.abs(correlation).max() < 5 / np.sqrt(len(group))


def test_a_seed_decides_and_another_differs():
    a, b, c = (make("CartPole-v1", 4, seed=seed).reset() for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


# Catch


def board_of(rows, columns, ball, paddle, row):
    board = torch.zeros(1, rows, columns, dtype=torch.uint8)
    board[0, row, ball] = 1
    board[0, rows - 1, paddle] = 1
    return board


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [(10, 10), (10, 5), (4, 7)])
def test_catch_by_hand(size, backend):
    """A game played beside it by a loop that knows only the rules."""
    rows, columns = size
    environment = built(f"Catch?rows={rows}&columns={columns}", 1, backend, seed=3)
    board = environment.reset()[0]
    generator, rewards = torch.Generator().manual_seed(0), set()
    for _ in range(40):
        ball, paddle = int(board[0, 0].argmax()), columns // 2
        assert torch.equal(board, board_of(rows, columns, ball, paddle, 0))
        for row in range(1, rows):
            action = torch.randint(3, (1,), generator=generator)
            paddle = min(columns - 1, max(0, paddle + int(action) - 1))
            step = environment.step(action)
            last = row == rows - 1
            assert torch.equal(step.next[0], board_of(rows, columns, ball, paddle, row))
            assert float(step.reward) == (0 if not last else 1 if ball == paddle else -1)
            assert bool(step.terminated) == last
            assert not bool(step.truncated)
            rewards.add(float(step.reward))
        board = step.observation[0]
    assert rewards == {-1.0, 0.0, 1.0}


def test_catch_can_always_be_won():
    environment = make("Catch", 200, seed=0)
    board = environment.reset()
    for _ in range(9):
        ball = board[:, 0, :-1].amax(1).argmax(1)
        paddle = board[:, 0, -1].argmax(1)
        step = environment.step(1 + torch.sign(ball - paddle))
        board = step.observation
    assert bool(step.terminated.all())
    assert float(step.reward.mean()) == 1.0


def test_balls_fall_in_every_column_alike():
    balls = make("Catch", 4000, seed=5).reset()[:, 0, 0].argmax(1).numpy()
    assert stats.chisquare(np.bincount(balls, minlength=10)).pvalue > 1e-4


# Options


def test_options_change_what_they_say():
    assert make("CartPole-v1?limit=200").spec.limit == 200
    assert make("CartPole-v1?limit=0").spec.limit is None
    assert make("CartPole-v1?limit=200").spec.name == "CartPole-v1?limit=200"
    assert make("Catch?columns=5").spec.observation.shape == (1, 10, 5)
    assert not make("FrozenLake-v1?is_slippery=false").mdp.probability.min() < 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Pendulum-v1?g=9.81", {"g": 9.81}),
        ("CartPole-v1?sutton_barto_reward=true", {"sutton_barto_reward": True}),
        ("MountainCar-v0?goal_velocity=0.02", {"goal_velocity": 0.02}),
        ("MountainCarContinuous-v0?goal_velocity=0.02", {"goal_velocity": 0.02}),
    ],
)
def test_options_as_gymnasium(name, given, backend):
    base = name.partition("?")[0]
    environment = built(name, 400, backend)
    environment.reset()
    low, high = (np.array(bound) for bound in WIDE[base])
    state = low + (high - low) * np.random.default_rng(1).random((400, len(low)))
    environment._state[...] = state
    action = draw(environment, torch.Generator().manual_seed(0))
    step = environment.step(action)
    peer = gymnasium.make(base, disable_env_checker=True, **given)
    peer.reset(seed=0)
    for i in range(400):
        after, reward, terminated = peer_step(peer, state[i], action[i])
        assert step.reward[i] == np.float32(reward)
        assert bool(step.terminated[i]) == terminated
        if not terminated:
            np.testing.assert_allclose(environment.state[i], after, rtol=0, atol=1e-7)


def test_actions_of_other_types_are_taken():
    environment = make("Pendulum-v1", 2)
    environment.reset()
    twin = copy.deepcopy(environment)
    a = environment.step(torch.tensor([[0.5], [1.0]]))
    b = twin.step(torch.tensor([[0.5, 9.0], [1.0, 9.0]], dtype=torch.float64)[:, :1])
    assert torch.equal(a.next, b.next)
    cart = make("CartPole-v1", 2)
    cart.reset()
    assert cart.step(torch.tensor([0, 1], dtype=torch.int32)).reward.shape == (2,)


# Pictures


@pytest.mark.parametrize("name", [*names(), "grid:gridworld"])
def test_pictures_show_the_state(name):
    environment = make(name, 3, seed=1)
    environment.reset()
    before = environment.render(0)
    assert before.dtype == np.uint8
    assert before.ndim == 3
    assert before.shape[2] == 3
    assert before.shape[0] % 2 == before.shape[1] % 2 == 0
    assert min(before.shape[:2]) >= 140
    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 4
    np.testing.assert_array_equal(before, environment.render(0))
    for _ in range(3):
        high = environment.spec.high
        act = torch.tensor([high] * 3) if high else torch.ones(3, dtype=torch.int64)
        environment.step(act)
    assert not np.array_equal(before, environment.render(0))
