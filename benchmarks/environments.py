"""Steps of environments against gymnasium's: one copy, copies in a loop, and its own vector one.

    python -m benchmarks.environments [--quick] [--json FILE]

Both sides take the same actions, drawn before the clock starts. Before anything is timed, both
step from the same states, and observations, rewards and ends are compared. One time is a time of
as many environment steps as the case's name says; below the table stand steps per second.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Case, Row, Watch, arguments, run_all, write_json
from phosphene.core.environment import Environment
from phosphene.decision.environments.table import make
from phosphene.decision.environments.vectorized import VectorEnvironment

__all__ = ["cases", "main"]

PEER = "gymnasium"
NATIVE = (
    "CartPole-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
)


def cases(quick: bool = False) -> Iterator[Case]:
    """A single copy, 64 in a loop, gymnasium's vector one, tables, its own through our adapter."""
    names = NATIVE[:1] if quick else NATIVE
    steps = 200 if quick else 1000
    for name in names:
        yield _single(name, steps)
        yield _many(name, 64, steps // 10, "sync")
    for n in (64, 256):
        yield _many("CartPole-v1", n, steps, "vector_entry_point")
    yield _many("FrozenLake-v1", 64, steps // 10, "sync")
    if not quick and _here("Box2D"):
        yield _adapted("LunarLander-v3", 8, 200, None)
        yield _adapted("LunarLander-v3", 8, 200, 2)
    if not quick and _here("mujoco"):
        yield _adapted("HalfCheetah-v5", 8, 200, None)
        yield _adapted("HalfCheetah-v5", 8, 200, 2)


def _single(name: str, steps: int) -> Case:
    import gymnasium

    ours, peer = make(name), gymnasium.make(name)
    ours.reset()
    peer.reset(seed=0)
    actions = _actions(ours, steps)
    given = [_peer_action(action[0]) for action in actions]

    def theirs(_: Watch) -> None:
        for action in given:
            _, _, terminated, truncated, _ = peer.step(action)
            if terminated or truncated:
                peer.reset()

    def check() -> float:
        return _same_states(ours, actions[:100], [peer])

    return Case(f"{name} x1: {steps:,} steps", PEER, check, theirs, _play(ours, actions))


def _many(name: str, n: int, steps: int, mode: str) -> Case:
    import gymnasium

    ours = make(name, n)
    settings: dict[str, Any] = {}
    if mode == "sync":
        settings["vector_kwargs"] = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    peer = gymnasium.make_vec(name, n, vectorization_mode=mode, **settings)
    ours.reset()
    peer.reset(seed=0)
    actions = _actions(ours, steps)
    given = [action.numpy() for action in actions]

    def theirs(_: Watch) -> None:
        for action in given:
            peer.step(action)

    def check() -> float:
        if mode == "sync":
            difference = _same_states(ours, actions[:20], list(peer.envs))
            peer.reset(seed=0)
            return difference
        return _same_vector(ours, actions[:100], peer)

    how = "its vector environment" if mode == "vector_entry_point" else "SyncVectorEnv"
    case = f"{name} x{n}, {how}: {n * steps:,} steps"
    return Case(case, PEER, check, theirs, _play(ours, actions))


def _adapted(name: str, n: int, steps: int, workers: int | None) -> Case:
    """The same environments of gymnasium's, through our adapter and through its own vectors."""
    import gymnasium

    ours = make(name, n, native=False, workers=workers)
    mode = "sync" if workers is None else "async"
    settings = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}
    peer = gymnasium.make_vec(name, n, vectorization_mode=mode, vector_kwargs=settings)
    ours.reset()
    peer.reset(seed=0)
    actions = _actions(ours, steps)
    given = [action.numpy() for action in actions]

    def theirs(_: Watch) -> None:
        for action in given:
            peer.step(action)

    def check() -> float:
        from phosphene.core.rng import mix

        first, _ = peer.reset(seed=[mix(0, i, 0) % 2**31 for i in range(n)])
        fresh = make(name, n, native=False)
        worst = float(np.abs(fresh.reset().numpy() - first).max())
        for action in actions[:50]:
            step, answer = fresh.step(action), peer.step(action.numpy())
            worst = max(worst, float(np.abs(step.observation.numpy() - answer[0]).max()))
        fresh.close()
        assert worst < 1e-5, f"{name}: ours and the peer's differ by {worst}"
        return worst

    how = "SyncVectorEnv" if workers is None else f"AsyncVectorEnv, ours in {workers} processes"
    case = f"{name} x{n}, {how}: {n * steps:,} steps"
    return Case(case, PEER, check, theirs, _play(ours, actions))


def _play(environment: Environment, actions: list[Tensor]) -> Callable[[Watch], object]:
    def play(_: Watch) -> None:
        step = environment.step
        for action in actions:
            step(action)

    return play


def _actions(environment: Environment, steps: int) -> list[Tensor]:
    spec, n = environment.spec, environment.n
    generator = torch.Generator().manual_seed(0)
    if spec.actions is not None:
        return list(torch.randint(spec.actions, (steps, n), generator=generator))
    low, high = torch.tensor(spec.low), torch.tensor(spec.high)
    return list(low + (high - low) * torch.rand(steps, n, len(low), generator=generator))


def _peer_action(action: Tensor) -> Any:
    return int(action) if action.ndim == 0 else action.numpy()


def _same_states(ours: Environment, actions: Sequence[Tensor], peers: Sequence[Any]) -> float:
    """Largest difference of observations and rewards, each step from one state; ends are equal."""
    worst = 0.0
    for action in actions:
        if isinstance(ours, VectorEnvironment):
            states: Any = ours.state
        else:
            states = ours.observe()[:, 0].tolist()  # type: ignore[attr-defined]
        step = ours.step(action)
        for i, peer in enumerate(peers):
            inner = peer.unwrapped
            if not isinstance(ours, VectorEnvironment):
                _same_outcome(inner, states[i], int(action[i]), step, i)
                continue
            inner.state, inner.steps_beyond_terminated = states[i], None
            seen, reward, terminated, _, _ = inner.step(_peer_action(action[i]))
            assert bool(step.terminated[i]) == terminated, "they end at different steps"
            worst = max(worst, float(np.abs(step.next[i].numpy() - seen).max()))
            worst = max(worst, abs(float(step.reward[i]) - float(reward)))
    assert worst < 1e-5, f"ours and the peer's differ by {worst}"
    for peer in peers:
        peer.reset(seed=0)
    return worst


def _same_outcome(inner: Any, state: int, action: int, step: Any, i: int) -> None:
    """What we drew is among the outcomes of the peer's table, which draws by other numbers."""
    found = (int(step.next[i]), float(step.reward[i]), bool(step.terminated[i]))
    table = [(int(s), float(r), bool(d)) for p, s, r, d in inner.P[state][action] if p > 0]
    assert found in table, f"{found} is no outcome of state {state}, action {action}"


def _same_vector(ours: Environment, actions: Sequence[Tensor], peer: Any) -> float:
    assert isinstance(ours, VectorEnvironment)
    worst = 0.0
    for action in actions:
        peer.unwrapped.state = ours.state.T.copy()
        peer.unwrapped.prev_done[:] = False
        step = ours.step(action)
        seen, reward, terminated, _, _ = peer.step(action.numpy())
        assert np.array_equal(step.terminated.numpy(), terminated), "they end at different steps"
        assert np.array_equal(step.reward.numpy(), reward), "their rewards differ"
        worst = max(worst, float(np.abs(step.next.numpy() - seen).max()))
    assert worst < 1e-5, f"ours and the peer's differ by {worst}"
    peer.reset(seed=0)
    return worst


def _here(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


def _rates(rows: Sequence[Row]) -> None:
    print(f"\n{'environment steps per second':70} {'peer':>14} {'ours':>14}")
    for row in rows:
        steps = int(row.case.split(": ")[-1].split()[0].replace(",", ""))
        rates = (1e3 * steps / ms for ms in (row.peer_ms, row.ours_ms))
        print(f"{row.case:70} {'{:14,.0f} {:14,.0f}'.format(*rates)}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run all cases."""
    options = arguments(__doc__.splitlines()[0], argv)
    torch.set_num_threads(1)
    rows = run_all(cases(options.quick), 3 if options.quick else 7, (PEER,))
    _rates(rows)
    if options.json:
        write_json(rows, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
