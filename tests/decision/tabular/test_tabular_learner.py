"""The learner: saving, resuming, environments as gymnasium has them, bad input."""

import numpy as np
import pytest
import torch

from phosphene.core.errors import ConfigError, DataError, DivergedError, UnknownNameError
from phosphene.decision.environments.tabular import TabularEnvironment
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.episodes import generate_episodes
from phosphene.decision.tabular.learner import METHODS, Learner
from phosphene.decision.tabular.monte_carlo import monte_carlo_control, monte_carlo_prediction
from phosphene.decision.tabular.n_step import n_step_sarsa, n_step_td
from phosphene.decision.tabular.problems import as_policy, as_problem
from phosphene.decision.tabular.q_learning import double_q_learning, q_learning
from phosphene.decision.tabular.sarsa import expected_sarsa, sarsa
from phosphene.decision.tabular.td import td_prediction
from phosphene.kernels.library import forced
from phosphene.kernels.tabular import uniform

LAKE = MDP.from_grid("frozen-lake-4x4", slip=1 / 3, limit=30)
UNIFORM = torch.full((16, 4), 0.25)
OPTIONS = {"n-step-sarsa": {"n": 3}, "n-step-td": {"n": 3}, "sarsa": {"lambda_": 0.5}}


def make(method, source=LAKE, seed=3, **options):
    policy = {"policy": UNIFORM} if METHODS[method][1] else {}
    given = {"alpha": 0.2, "gamma": 0.95, "history": 20, **policy, **OPTIONS.get(method, {})}
    return Learner(source, method, seed=seed, **{**given, **options})


def assert_same(one, other):
    states = one.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if name != "live":
            assert torch.equal(value, states[1][name]), name


# -- saving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_is_the_run_that_was_never_stopped(method, tmp_path):
    whole, first, second = make(method), make(method), make(method, seed=3)
    whole.advance(1000)
    first.advance(333)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    first.advance(400)  # must not be shared with what was saved
    second.advance(667)
    assert_same(whole, second)
    assert len(whole.returns) == 20
    assert torch.equal(whole.returns, second.returns)
    assert whole.episodes > 20


def test_what_was_saved_must_fit():
    state = make("q-learning").state_dict()
    with pytest.raises(DataError, match=r"table of double-q-learning needs \(2, 16, 4\)"):
        make("double-q-learning").load_state_dict(state)
    del state["score"]
    with pytest.raises(DataError, match=r"score of q-learning needs .* got nothing"):
        make("q-learning").load_state_dict(state)


def test_seeds_decide_everything():
    tables = [make("q-learning", seed=s, initial=1.0) for s in (1, 1, 2)]
    for learner in tables:
        learner.advance(500)
    assert_same(*tables[:2])
    assert not torch.equal(tables[0].q, tables[2].q)


def test_the_latest_returns_in_order():
    long, short = make("sarsa", history=10_000), make("sarsa", history=7)
    for k in range(30):
        for learner in (long, short):
            learner.advance(episodes=1)
        assert long.episodes == k + 1 == len(long.returns)
        assert torch.equal(short.returns, long.returns[-7:])
        assert torch.equal(short.lengths, long.lengths[-7:])
    assert long.steps == int(long.lengths.sum())


def test_without_kernels_it_is_the_same():
    native, reference = (
        make("expected-sarsa", temperature=0.1),
        make("expected-sarsa", temperature=0.1),
    )
    native.advance(400)
    with forced("off"):
        reference.advance(400)
    assert_same(native, reference)


def test_a_problem_and_an_environment_of_ours_stand_for_the_process():
    shared = as_problem(LAKE, 0)
    ours = TabularEnvironment(LAKE, limit=30)
    learners = [make("q-learning", source) for source in (LAKE, shared, ours)]
    for learner in learners:
        learner.advance(300)
    assert_same(*learners[:2])
    assert_same(learners[0], learners[2])


def test_results():
    found = q_learning(LAKE, episodes=50, seed=1)
    assert (found.episodes, len(found.returns)) == (50, 50)
    assert torch.equal(found.values, found.q.amax(1))
    assert torch.equal(found.policy, found.q.argmax(1))
    assert found.lengths.max() <= 30
    found.learner.advance(episodes=5)
    assert found.learner.episodes == 55
    both = double_q_learning(LAKE, steps=100, episodes=10**6)
    assert both.steps == 100
    assert both.learner.visits.sum() == 100
    assert not hasattr(Learner(LAKE, "td", policy=UNIFORM), "q")
    assert Learner(LAKE, "td", policy=UNIFORM).visits.shape == (16,)


# -- environments as gymnasium has them ----------------------------------------------------------


class Space:
    def __init__(self, n, start=0):
        self.n, self.start = n, start


Space.__name__ = "Discrete"


class Table:
    """A process behind gymnasium's interface, which draws the numbers that a learner would."""

    def __init__(self, mdp, key, limit):
        self.mdp, self.key, self.limit, self.t = mdp, key, limit, 0
        self.observation_space, self.action_space = Space(mdp.states, 5), Space(mdp.actions, 2)

    def reset(self, *, seed=None, options=None):
        self.clock = 0
        self.s = int(
            np.searchsorted(np.cumsum(self.mdp.start), uniform(self.key, self.t, 0), "right")
        )
        return self.s + 5, {}

    def step(self, action):
        outcomes = self.mdp.outcomes(self.s, action - 2)
        u, total = uniform(self.key, self.t, 3), 0.0
        for outcome in outcomes:
            total += outcome[0]
            if total > u:
                break
        _, s2, r, ends = outcome
        self.s, self.t, self.clock = s2, self.t + 1, self.clock + 1
        return s2 + 5, r, ends, self.clock >= self.limit, {}


@pytest.mark.parametrize("method", METHODS)
def test_through_gymnasiums_interface_it_learns_the_same(method):
    """Also where the environment cuts episodes off: the value beyond is used, after an end not."""
    exact = make(method)
    through = make(method, Table(LAKE, exact.settings.key, 30))
    for learner in (exact, through):
        learner.advance(700)
    assert_same(exact, through)
    assert exact.problem.exact
    assert not through.problem.exact


@pytest.mark.parametrize("method", METHODS)
def test_a_run_in_an_environment_resumes_with_a_new_episode(method):
    learner = make(method, Table(LAKE, 1, 30))
    learner.advance(100)
    while not int(learner.progress.at[2]) or int(learner.progress.at[6]):
        learner.advance(1)
    other = make(method, Table(LAKE, 1, 30))
    other.load_state_dict(learner.state_dict())
    assert other.steps == learner.steps
    assert int(other.progress.at[6]) == 1
    other.advance(200)
    assert other.steps == learner.steps + 200


def test_gymnasium_itself():
    gym = pytest.importorskip("gymnasium")
    found = q_learning(gym.make("CliffWalking-v1"), episodes=400, seed=1)
    assert round(float(found.values[36])) == -13
    lake = gym.make("FrozenLake-v1", is_slippery=False)
    policy = sarsa(lake, episodes=600, epsilon="linear:1:0:500episodes", gamma=0.9, seed=2).policy
    assert found.learner.problem.name == "CliffWalking-v1"
    s, _ = lake.reset()
    for _ in range(6):
        s, reward, *_ = lake.step(int(policy[s]))
    assert reward == 1.0


def test_states_of_several_parts():
    gym = pytest.importorskip("gymnasium")
    found = monte_carlo_control(gym.make("Blackjack-v1"), episodes=5000, epsilon=0.2, seed=0)
    assert found.q.shape == (32 * 11 * 2, 2)
    stick, hit = found.q[(20 * 11 + torch.arange(1, 11)) * 2].mean(0)  # 20: all but sure
    assert stick > 0.4 > -0.3 > hit
    assert found.learner.problem.name == "Blackjack-v1"
    assert -0.3 < float(found.returns[-2500:].mean()) < -0.05


# -- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alpha": 0.0}, r"alpha must be in \(0, 1\], got 0"),
        ({"alpha": 1.5}, r"alpha must be in \(0, 1\], got 1.5"),
        ({"alpha": float("nan")}, r"alpha must be in \(0, 1\], got nan"),
        ({"alpha": "linear:1:0:9steps"}, r"alpha must stay in \(0, 1\].*goes from 1 to 0"),
        ({"epsilon": -0.1}, r"epsilon must be in \[0, 1\], got -0.1"),
        ({"epsilon": 1.1}, r"epsilon must be in \[0, 1\], got 1.1"),
        ({"epsilon": "harmonic:1:1visits"}, "epsilon cannot count visits"),
        ({"epsilon": "linear:2:0:9steps"}, r"epsilon must stay in \[0, 1\]"),
        ({"temperature": 0.0}, r"temperature must be in \(0, inf\), got 0"),
        ({"gamma": 1.1}, r"gamma must be in \[0, 1\], got 1.1"),
        ({"lambda_": 2.0, "method": "sarsa"}, r"lambda_ must be in \[0, 1\], got 2"),
        ({"lambda_": 0.5}, "q-learning has no traces"),
        ({"n": 0, "method": "n-step-sarsa"}, "n must be 1 or more, got 0"),
        ({"n": 3}, "q-learning looks one step ahead"),
        ({"limit": -1}, "limit must be 1 or more, or 0 for none, got -1"),
        ({"method": "td"}, "td learns the values of a policy: give policy="),
        ({"policy": torch.ones(16, 3)}, r"probabilities \(16, 4\) or actions \(16,\).*\(16, 3\)"),
        ({"policy": torch.ones(16, 4)}, "the policy of state 0 is no distribution"),
        ({"policy": torch.full((16,), 4)}, "numbers 0 to 3"),
        ({"policy": torch.full((16, 4), float("nan"))}, "the policy of state 0 is no distribution"),
        ({"initial": torch.zeros(4)}, r"a table \(16, 4\), got shape \(4,\)"),
        ({"initial": float("inf")}, "initial values must be finite"),
    ],
)
def test_bad_settings(options, sentence):
    with pytest.raises(ConfigError, match=sentence) as error:
        Learner(LAKE, **options)
    assert "\n" not in str(error.value).split("tensor")[0]


def test_bad_names_and_budgets():
    with pytest.raises(UnknownNameError, match="did you mean 'sarsa'"):
        Learner(LAKE, "sarssa")
    with pytest.raises(UnknownNameError, match="did you mean 'replacing'"):
        Learner(LAKE, "sarsa", lambda_=0.5, traces="replace")
    for learn in (
        q_learning,
        double_q_learning,
        sarsa,
        expected_sarsa,
        n_step_sarsa,
        monte_carlo_control,
    ):
        with pytest.raises(ConfigError, match="say how long"):
            learn(LAKE)
    for learn in (td_prediction, n_step_td, monte_carlo_prediction):
        with pytest.raises(ConfigError, match="episodes must be 1 or more, got 0"):
            learn(LAKE, UNIFORM, episodes=0)
    with pytest.raises(ConfigError, match="say how long"):
        Learner(LAKE).advance()


class Broken(Table):
    def step(self, action):
        return 6, float("nan"), False, False, {}


def test_bad_environments():
    learner = Learner(Broken(LAKE, 1, 30))
    with pytest.raises(DataError, match="gave the reward nan in state"):
        learner.advance(10)
    assert learner.steps == 0
    with pytest.raises(ConfigError, match="not in a int"):
        Learner(5)
    gym = pytest.importorskip("gymnasium")
    with pytest.raises(ConfigError, match="must be countable"):
        Learner(gym.make("CartPole-v1"))


def test_divergence_is_named():
    loop = MDP.from_outcomes(1, 1, [0], [0], [0], [1.0], [1e308])
    learner = Learner(loop, alpha=1.0)
    with pytest.raises(DivergedError, match=r"not finite after .* steps; use a smaller alpha"):
        learner.advance(100)


def test_policies_as_actions_or_probabilities():
    assert as_policy([1, 0], 2, 2).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    kept = generate_episodes(LAKE, [2] * 16, 3, seed=1)
    assert (kept.action == 2).all()
