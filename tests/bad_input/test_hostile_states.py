"""What a damaged checkpoint says is looked at before anything is read or written there."""

import math

import pytest
import torch

from phosphene.core.errors import ConfigError, PhospheneError, RunError
from phosphene.decision.deep.priorities import Priorities
from phosphene.decision.deep.ring import Ring
from phosphene.decision.environments.table import make
from phosphene.decision.mdp.mdp import MDP
from phosphene.decision.tabular.learner import Learner
from phosphene.kernels.library import forced
from phosphene.train.probe import check_threads

HUGE = 1 << 40
LEARNERS = {
    "sarsa": {"lambda_": 0.9},
    "monte-carlo": {},
    "n-step-sarsa": {"n": 4},
    "q-learning": {},
}


def learner(method):
    mdp = MDP.random(20, 3, branching=3, seed=0)
    made = Learner(mdp, method, epsilon=0.3, limit=30, **LEARNERS[method])
    made.advance(25)
    return made


STATES = [
    ("q-learning", "at", 0, 20, "the state must be from 0 to 19, got 20"),
    ("q-learning", "at", 0, -1, "the state must be from 0 to 19, got -1"),
    ("q-learning", "at", 0, HUGE, "the state"),
    ("sarsa", "at", 1, 3, "the next action must be from -1 to 2, got 3"),
    ("sarsa", "at", 1, -2, "the next action"),
    ("q-learning", "at", 2, -5, "steps and episodes"),
    ("q-learning", "at", 3, -1, "steps and episodes"),
    ("q-learning", "at", 4, math.inf, "steps and episodes"),
    ("sarsa", "at", 5, HUGE, "the number of traces must be from 0 to 60"),
    ("sarsa", "at", 5, -1, "the number of traces"),
    ("q-learning", "at", 5, 1, "the number of traces must be from 0 to 0"),
    ("q-learning", "at", 6, 2, "an episode begins"),
    ("sarsa", "live", 0, HUGE, "live must be from 0 to 59"),
    ("sarsa", "live", 0, -1, "live must be from 0 to 59, got -1"),
    ("monte-carlo", "keys", 0, 60, "keys must be from 0 to 59, got 60"),
    ("n-step-sarsa", "keys", 3, -7, "keys must be from 0 to 59, got -7"),
    ("monte-carlo", "at", 2, HUGE, "keys must hold"),
]


@pytest.mark.parametrize(("method", "name", "index", "value", "sentence"), STATES)
def test_a_learner_refuses_numbers_that_do_not_exist(method, name, index, value, sentence):
    own = learner(method)
    state = own.state_dict()
    if math.isinf(value):
        state[name] = state[name].double()
    state[name].view(-1)[index] = value
    before = own.state_dict()
    with pytest.raises(RunError, match="damaged") as refused:
        own.load_state_dict(state)
    assert sentence in str(refused.value)
    assert all(torch.equal(before[k], v) for k, v in own.state_dict().items())


@pytest.mark.parametrize("choice", ["auto", "off"])
@pytest.mark.parametrize(("method", "name", "index", "value", "sentence"), STATES)
def test_state_that_was_changed_by_hand_is_refused(method, name, index, value, sentence, choice):
    if math.isinf(value) or (method == "monte-carlo" and name == "at"):
        pytest.skip("no such number, or room that is made")
    own = learner(method)
    getattr(own.progress, name).view(-1)[index] = value
    with forced(choice), pytest.raises(PhospheneError) as refused:
        own.advance(100)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("method", LEARNERS)
def test_what_was_saved_is_taken_back_and_goes_on(method):
    one, other = learner(method), learner(method)
    other.advance(40)
    other.load_state_dict(one.state_dict())
    one.advance(200)
    other.advance(200)
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in one.state_dict().items())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"priority": torch.ones(7)}, "shape (7,)"),
        ({"priority": torch.full((8,), math.nan)}, "finite and not negative"),
        ({"priority": torch.full((8,), -1.0)}, "got -1.0"),
        ({"greatest": math.inf}, "got inf"),
    ],
)
def test_priorities_that_are_none_are_refused(change, sentence):
    priorities = Priorities(5)
    priorities.add(torch.arange(5))
    with pytest.raises(RunError) as refused:
        priorities.load_state_dict({**priorities.state_dict(), **change})
    assert sentence in str(refused.value)


@pytest.mark.parametrize("written", [-1, 2, HUGE])
def test_a_replay_of_another_number_of_rows_is_refused(written):
    ring = Ring(4)
    ring.write({"x": torch.ones(3)})
    with pytest.raises(RunError, match="3 rows of x"):
        ring.load_state_dict({**ring.state_dict(), "written": written}, torch.device("cpu"))


ENVIRONMENTS = [
    ("Catch", "state", 0, -1.0, "none"),
    ("Catch", "state", 0, 9.0, "none"),  # the last row: the episode was over
    ("Catch", "state", 1, 1e300, "none"),
    ("Catch", "state", 2, math.nan, "none"),
    ("Catch", "state", 1, 0.5, "none"),
    ("Acrobot-v1", "state", 0, 1e18, "none"),  # would turn back for ages
    ("CartPole-v1", "state", 0, math.inf, "none"),
    ("CartPole-v1", "clock", 0, -1, "clock"),
    ("CartPole-v1", "clock", 0, 500, "from 0 to 499"),
    ("CartPole-v1", "episode", 0, -2, "episode"),
    ("CliffWalking-v1", "state", 0, 10**9, "none"),
    ("CliffWalking-v1", "state", 0, -1, "none"),
]


@pytest.mark.parametrize("choice", ["auto", "off"])
@pytest.mark.parametrize(("name", "part", "index", "value", "sentence"), ENVIRONMENTS)
def test_an_environment_refuses_states_that_are_none(name, part, index, value, sentence, choice):
    with forced(choice):
        environment = make(name, 2, seed=0)
        environment.reset()
        state = environment.state_dict()
        state[part].view(-1)[index] = value
        with pytest.raises(RunError) as refused:
            environment.load_state_dict(state)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(("name", "value"), [("Catch", 1e6), ("Acrobot-v1", 1e18)])
def test_the_library_itself_refuses_states_that_are_none(name, value):
    environment = make(name, 1, seed=0)
    environment.reset()
    environment._state[0, 0] = value
    if environment._native is None:
        pytest.skip("there is no library")
    before = environment.state
    with pytest.raises(PhospheneError, match="none of this environment's"):
        environment.step(torch.zeros(1, dtype=torch.int64))
    assert (environment.state == before).all()


@pytest.mark.parametrize("threads", [0, -1, 1_000_000, 2.0, "2", True, None])
def test_no_number_of_threads_is_refused(threads):
    with pytest.raises(ConfigError, match="threads must be a whole number from 1 to"):
        check_threads(threads)
    assert check_threads(256) == 256
