"""Deep agents' learners at identical settings: ours through the trainer, against two peers.

    python -m benchmarks.deep_agents [--quick] [--json FILE]

Both sides hold the same weights in the check; values, log-probabilities and the gradients of the
loss of one batch are compared before anything is timed. Each side is given the number of threads,
1 or 2, that it is faster with.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from benchmarks import stable_baselines as sb3
from benchmarks.cleanrl_loops import DQNLoop, DQNSettings, Moments, PPOLoop, Transitions
from benchmarks.common import (
    Case,
    Row,
    Timed,
    arguments,
    installed,
    run_all,
    write_json,
)
from benchmarks.learners import Threads, agree, copied, stir, theirs_timed, trained
from phosphene.core.subject import Alone
from phosphene.decision.deep.dqn import DQN
from phosphene.decision.deep.ppo import PPO
from phosphene.decision.deep.sac import SAC
from phosphene.decision.environments.table import make, spec
from phosphene.train.building import build

__all__ = ["QUICK", "Size", "Threads", "cases", "main"]

CARTPOLE, PENDULUM = "CartPole-v1", "Pendulum-v1"
LOOP = "torch"  # the peer's name where it is a plain loop
SETTLED = 1024  # environment steps before the zoo's DQN learns: the first 256s beyond 1,000


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        iterations: Of PPO in one measurement; of DQN, stretches of 256 or 500 environment steps.
        gradients: Of SAC in one measurement, a multiple of 20.
        rounds: Measurements of each case.
    """

    iterations: int = 10
    gradients: int = 300
    rounds: int = 5


QUICK = Size(iterations=4, gradients=100, rounds=3)

PPO_ZOO: Mapping[str, Any] = {
    "environments": 8, "steps": 32, "epochs": 20, "batch_size": 256, "gamma": 0.98,
    "lambda_": 0.8, "clip": 0.2, "clip_value": None, "value": 0.5, "entropy": 0.0,
    "normalize": True, "hidden": (64, 64), "activation": "tanh",
}  # fmt: skip
PPO_CLEANRL: Mapping[str, Any] = {
    **PPO_ZOO, "environments": 4, "steps": 128, "epochs": 4, "batch_size": 128, "gamma": 0.99,
    "lambda_": 0.95, "clip_value": 0.2, "value": 0.25, "entropy": 0.01,
}  # fmt: skip
"""Half of the script's coefficient of the value's error, which halves the error as well."""
DQN_ZOO: Mapping[str, Any] = {
    "environments": 1, "act_steps": 256, "turns": 128, "batch_size": 64, "capacity": 100_000,
    "warmup": SETTLED, "gamma": 0.99, "n_step": 1, "epsilon_start": 0.04, "epsilon_end": 0.04,
    "target_every": 10, "tau": 1.0, "double": False, "dueling": False, "huber": True,
    "prioritized": False, "hidden": (256, 256), "activation": "relu",
}  # fmt: skip
DQN_CLEANRL: Mapping[str, Any] = {
    **DQN_ZOO, "act_steps": 10, "turns": 1, "warmup": 1000, "batch_size": 128, "capacity": 10_000,
    "epsilon_start": 0.05, "epsilon_end": 0.05, "target_every": 500, "huber": False,
    "hidden": (120, 84),
}  # fmt: skip
SAC_ZOO: Mapping[str, Any] = {
    "environments": 1, "act_steps": 1, "turns": 1, "batch_size": 256, "capacity": 1_000_000,
    "warmup": 100, "gamma": 0.99, "tau": 0.005, "hidden": (256, 256), "activation": "relu",
}  # fmt: skip


def _case(
    size: Size,
    threads: Threads,
    name: str,
    keys: tuple[str, str],
    peer: str,
    check: Callable[[], float],
    theirs: Callable[[int], Timed],
    ours: Callable[[int], Timed],
) -> Case:
    """A case in which each side has the number of threads that suits it."""
    check()  # nothing is timed that does not agree, not even to choose threads
    runs = [threads.best(key, made) for key, made in zip(keys, (theirs, ours), strict=True)]
    counts = [str(threads.of(key)) for key in keys]
    where = counts[0] if counts[0] == counts[1] else "/".join(counts)
    return Case(f"{name}, {where} thr.", peer, check, *runs, size.rounds)


def cases(size: Size, threads: Threads) -> Iterator[Case]:
    """All learners, one by one; those of a peer that is missing are left out."""
    if installed(sb3.PEER):
        yield ppo_zoo(size, threads)
    if installed("gymnasium"):
        yield ppo_cleanrl(size, threads)
    if installed(sb3.PEER):
        yield dqn_zoo(size, threads, 1)
        yield dqn_zoo(size, threads, 8)
    if installed("gymnasium"):
        yield dqn_cleanrl(size, threads)
    if installed(sb3.PEER):
        yield sac_zoo(size, threads)


# -- PPO ----------------------------------------------------------------------------------------


def ppo_zoo(size: Size, threads: Threads) -> Case:
    """The zoo's settings for CartPole."""
    steps = 256 * size.iterations
    ours = trained(
        "ppo", CARTPOLE, PPO_ZOO, {"lr": 1e-3, "eps": 1e-5, "clip": 0.5, "log_every": 1},
        first=0, last=steps, parts=size.iterations,
    )  # fmt: skip

    def prepare() -> Callable[[], object]:
        model = sb3.made("ppo", CARTPOLE, 8, sb3.PPO_ZOO)
        return lambda: model.learn(steps)

    theirs = theirs_timed(prepare, size.iterations)
    name, keys = "PPO iteration, SB3 zoo's: 8 x 32 steps, 20 updates of 256", ("sb3 ppo", "ppo")
    return _case(size, threads, name, keys, sb3.PEER, same_ppo_zoo, theirs, ours)


def ppo_cleanrl(size: Size, threads: Threads) -> Case:
    """The settings of CleanRL's script."""
    steps = 512 * size.iterations
    ours = trained(
        "ppo", CARTPOLE, PPO_CLEANRL, {"lr": 2.5e-4, "eps": 1e-5, "clip": 0.5, "log_every": 1},
        first=0, last=steps, parts=size.iterations,
    )  # fmt: skip

    def prepare() -> Callable[[], object]:
        loop = PPOLoop(CARTPOLE)
        return lambda: loop.run(steps)

    theirs = theirs_timed(prepare, size.iterations)
    name = "PPO iteration, CleanRL's: 4 x 128 steps, 16 updates of 128"
    return _case(size, threads, name, ("loop ppo", "ppo 512"), LOOP, same_ppo_cleanrl, theirs, ours)


def _rollout(settings: Mapping[str, Any], *, normalize: bool) -> tuple[PPO, Any]:
    """An agent that has changed since it acted, so that ratios leave 1, and its first batch."""
    agent = build("ppo", spec(CARTPOLE), seed=1, **{**settings, "normalize": normalize})
    assert isinstance(agent, PPO)
    environment = make(CARTPOLE, settings["environments"], seed=1)
    batch = agent.experience(environment, 1, Alone()).next(0, agent)
    stir(agent)
    return agent, batch


def same_ppo_zoo() -> float:
    """Values, log-probabilities, entropies and gradients of ours and of stable-baselines3."""
    agent, batch = _rollout(PPO_ZOO, normalize=True)
    model = sb3.made("ppo", CARTPOLE, 8, sb3.PPO_ZOO)
    pairs = sb3.copy_ppo(agent, model)
    policy, value = agent.both(agent.eyes(batch.x))
    ours = (value, policy.log_prob(batch.action), policy.entropy())
    found = list(zip(ours, sb3.assessed(model, batch.x, batch.action), strict=True))
    agent.loss(batch).total.backward()
    _, raw = _rollout(PPO_ZOO, normalize=False)  # the same moments, for their own normalization
    theirs = sb3.ppo_gradients(model, raw)
    return agree(found + [(own.grad, theirs[other]) for own, other in pairs])


def same_ppo_cleanrl() -> float:
    """The same of ours and of the loop, and the loss."""
    agent, batch = _rollout(PPO_CLEANRL, normalize=True)
    _, raw = _rollout(PPO_CLEANRL, normalize=False)
    loop = PPOLoop(CARTPOLE)
    pairs = copied(agent.actor, loop.actor) + copied(agent.critic, loop.critic)
    policy, value = agent.both(agent.eyes(batch.x))
    ours = (policy.log_prob(batch.action), policy.entropy(), value)
    found = list(zip(ours, loop.assess(batch.x, batch.action)[1:], strict=True))
    loss = agent.loss(batch).total
    other, _ = loop.loss(
        Moments(raw.x, raw.action, raw.log_prob, raw.value, raw.advantage, raw.target)
    )
    loss.backward()
    other.backward()
    return agree([*found, (loss, other), *((a.grad, b.grad) for a, b in pairs)])


# -- DQN ----------------------------------------------------------------------------------------


def dqn_zoo(size: Size, threads: Threads, n: int) -> Case:
    """The zoo's settings for CartPole, with its one environment or with the same steps in n."""
    last = SETTLED + 256 * size.iterations
    model = {**DQN_ZOO, "environments": n, "act_steps": 256 // n}
    ours = trained(
        "dqn", CARTPOLE, model, {"lr": 2.3e-3, "eps": 1e-8, "clip": 10.0, "log_every": 1},
        first=SETTLED, last=last, parts=size.iterations,
    )  # fmt: skip

    def prepare() -> Callable[[], object]:
        settings = {**sb3.DQN_ZOO, "train_freq": 256 // n, "exploration_initial_eps": 0.04}
        peer = sb3.made("dqn", CARTPOLE, n, settings)
        peer.learn(SETTLED)
        return lambda: peer.learn(256 * size.iterations, reset_num_timesteps=False)

    theirs = theirs_timed(prepare, size.iterations)
    keys = (f"sb3 dqn {n}", f"dqn {n}")
    name = f"DQN, SB3 zoo's: 256 steps in {n} env., 128 updates of 64"
    return _case(size, threads, name, keys, sb3.PEER, same_dqn_zoo, theirs, ours)


def dqn_cleanrl(size: Size, threads: Threads) -> Case:
    """The settings of CleanRL's script, after a shorter warm-up."""
    first = 1000 + 490  # the first time that ours tells of its steps
    last = first + 500 * size.iterations
    ours = trained(
        "dqn", CARTPOLE, DQN_CLEANRL, {"lr": 2.5e-4, "eps": 1e-8, "clip": None, "log_every": 50},
        first=first, last=last, parts=size.iterations,
    )  # fmt: skip

    def prepare() -> Callable[[], object]:
        loop = DQNLoop(CARTPOLE, settings=DQNSettings(start=1000, epsilon_start=0.05))
        loop.run(first)
        return lambda: loop.run(500 * size.iterations)

    theirs = theirs_timed(prepare, size.iterations)
    name = "DQN, CleanRL's: 500 steps in 1 env., 50 updates of 128"
    keys = ("loop dqn", "dqn 500")
    return _case(size, threads, name, keys, LOOP, same_dqn_cleanrl, theirs, ours)


def _transitions(settings: Mapping[str, Any]) -> tuple[DQN, Any]:
    """An agent whose target network is another, and a batch."""
    agent = build("dqn", spec(CARTPOLE), seed=1, **settings)
    assert isinstance(agent, DQN)
    stir(agent.target)
    environment = make(CARTPOLE, settings["environments"], seed=1)
    batch = agent.experience(environment, 1, Alone()).next(0, agent)
    return agent, batch


def same_dqn_zoo() -> float:
    """Q and gradients of ours and of stable-baselines3."""
    agent, batch = _transitions(DQN_ZOO)
    model = sb3.made("dqn", CARTPOLE, 1, sb3.DQN_ZOO)
    pairs = sb3.copy_dqn(agent, model)
    agent.loss(batch).total.backward()
    theirs = sb3.dqn_gradients(model, batch)
    q = (agent.online(batch.x), sb3.q_values(model, batch.x))
    return agree([q, *((own.grad, theirs[other]) for own, other in pairs)])


def same_dqn_cleanrl() -> float:
    """Q, loss and gradients of ours and of the loop."""
    agent, batch = _transitions(DQN_CLEANRL)
    loop = DQNLoop(CARTPOLE)
    copied(agent.target, loop.target)
    pairs = copied(agent.online, loop.online)
    done = (batch.discount == 0).float()
    loss = agent.loss(batch).total
    other = loop.loss(Transitions(batch.x, batch.action, batch.reward, batch.next, done))
    loss.backward()
    other.backward()
    q = (agent.online(batch.x), loop.online(batch.x))
    return agree([q, (loss, other), *((a.grad, b.grad) for a, b in pairs)])


# -- SAC ----------------------------------------------------------------------------------------


def sac_zoo(size: Size, threads: Threads) -> Case:
    """The zoo's settings for Pendulum, those of the peer's defaults."""
    n, first = size.gradients, 100 + 19  # the first time that ours tells of its steps
    ours = trained(
        "sac", PENDULUM, SAC_ZOO, {"lr": 1e-3, "eps": 1e-8, "clip": None, "log_every": 20},
        first=first, last=first + n, parts=n,
    )  # fmt: skip

    def prepare() -> Callable[[], object]:
        model = sb3.made("sac", PENDULUM, 1, sb3.SAC_ZOO)
        model.learn(first)
        return lambda: model.learn(n, reset_num_timesteps=False)

    theirs = theirs_timed(prepare, n)
    name = "SAC, SB3 zoo's, Pendulum: a step, an update of 256"
    return _case(size, threads, name, ("sb3 sac", "sac"), sb3.PEER, same_sac_zoo, theirs, ours)


def same_sac_zoo() -> float:
    """Gradients of all losses; the peer adds 1e-6 inside a logarithm, we do not."""
    agent = build("sac", spec(PENDULUM), seed=1, **SAC_ZOO)
    assert isinstance(agent, SAC)
    stir(agent.target)
    batch: Any = agent.experience(make(PENDULUM, 1, seed=1), 1, Alone()).next(0, agent)
    model = sb3.made("sac", PENDULUM, 1, sb3.SAC_ZOO)
    pairs = sb3.copy_sac(agent, model)
    theirs = sb3.sac_gradients(model, batch, batch.normal((1,)))
    losses = (agent.critic_loss, agent.actor_loss, agent.temperature_loss)
    found: list[tuple[Any, Tensor]] = []
    for loss, parameters in zip(losses, pairs, strict=True):
        batch.noise.draws = 0  # the same noise for all of them, as the peer was given
        agent.zero_grad()
        loss(batch).total.backward()
        for own, rows, other in parameters:
            found.append((own.grad[rows].clone().view_as(other), theirs[other]))
    return agree(found, 1e-4)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print, and write the table."""
    options = arguments("Deep agents' learners at identical settings", argv)
    size = QUICK if options.quick else Size()
    rows = run_all(cases(size, Threads()), size.rounds, (sb3.PEER, "gymnasium"))
    if options.json:
        write_json(rows, options.json)
    return rows


if __name__ == "__main__":
    main()
