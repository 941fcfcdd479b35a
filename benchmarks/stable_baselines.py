"""stable-baselines3's side: its agents at given settings, with our weights and on our batches.

The settings are those of its zoo (rl-baselines3-zoo). Gradients are taken from the package's own
``train()``: it is given our batch, and its optimizers note the gradients instead of stepping.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import MODULES
from phosphene.decision.deep.dqn import DQN
from phosphene.decision.deep.ppo import PPO
from phosphene.decision.deep.replay import TransitionBatch
from phosphene.decision.deep.rollouts import RolloutBatch
from phosphene.decision.deep.sac import SAC

__all__ = [
    "DQN_ZOO",
    "PEER",
    "PPO_ZOO",
    "SAC_ZOO",
    "assessed",
    "copy_dqn",
    "copy_ppo",
    "copy_sac",
    "dqn_gradients",
    "learn",
    "made",
    "ppo_gradients",
    "q_values",
    "sac_gradients",
]

PEER = "stable-baselines3"
MODULES.setdefault(PEER, "stable_baselines3")

PPO_ZOO: Mapping[str, Any] = {
    "n_steps": 32, "batch_size": 256, "n_epochs": 20, "gamma": 0.98, "gae_lambda": 0.8,
    "ent_coef": 0.0, "learning_rate": 1e-3, "clip_range": 0.2,
}  # fmt: skip
DQN_ZOO: Mapping[str, Any] = {
    "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1000,
    "gamma": 0.99, "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128,
    "exploration_fraction": 0.16, "exploration_final_eps": 0.04,
    "policy_kwargs": {"net_arch": [256, 256]},
}  # fmt: skip
SAC_ZOO: Mapping[str, Any] = {"learning_rate": 1e-3}

Act = Callable[[Tensor], Tensor]
Pairs = list[tuple[Tensor, Tensor]]
Rows = list[tuple[Tensor, Any, Tensor]]


def made(
    system: str, env: str, n: int, settings: Mapping[str, Any], seed: int = 0, falls: bool = False
) -> Any:
    """An agent of the package's in n environments; with ``falls``, rate and clip fall to zero."""
    import stable_baselines3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import Logger

    settings = dict(settings)
    if falls:
        for name in ("learning_rate", "clip_range"):
            settings[name] = _falling(settings[name])
    kind = getattr(stable_baselines3, system.upper())
    model = kind("MlpPolicy", make_vec_env(env, n, seed=seed), seed=seed, device="cpu", **settings)
    model.set_logger(Logger(None, []))
    return model


def _falling(start: float) -> Callable[[float], float]:
    return lambda left: left * start


def learn(model: Any, steps: int, pause: Callable[[int, Act], None]) -> None:
    """Train; ``pause`` is told the environment steps before each rollout and at the end."""
    from stable_baselines3.common.callbacks import BaseCallback

    def act(observation: Tensor) -> Tensor:
        return torch.from_numpy(model.predict(observation.numpy(), deterministic=True)[0])

    class Pauses(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            pause(model.num_timesteps, act)

    model.learn(steps, callback=Pauses())
    pause(model.num_timesteps, act)


# -- weights ------------------------------------------------------------------------------------


def copy_ppo(ours: PPO, model: Any) -> Pairs:
    """Give the package's agent our weights; pairs of parameters, ours and theirs."""
    policy, towers = model.policy, model.policy.mlp_extractor
    actor = _copied(ours.actor, [towers.policy_net, policy.action_net])
    return actor + _copied(ours.critic, [towers.value_net, policy.value_net])


def copy_dqn(ours: DQN, model: Any) -> Pairs:
    """The same, with the target network's weights; pairs of the network that learns."""
    _copied(ours.target, [model.q_net_target])
    return _copied(ours.online, [model.q_net])


def copy_sac(ours: SAC, model: Any) -> tuple[Rows, Rows, Rows]:
    """The same, with the target critics' weights: of the critics, the actor, the temperature.

    Our actor's head says means and log standard deviations, so that pairs are of rows of ours.
    """
    actor, critic, target = model.actor, model.critic, model.critic_target
    _copied(ours.target, [target.qf0, target.qf1])
    *body, head = ours.actor.layers
    policy: Rows = [
        (own, ..., other) for own, other in _copied(nn.Sequential(*body), [actor.latent_pi])
    ]
    half = ours.actions
    for rows, layer in ((slice(half), actor.mu), (slice(half, None), actor.log_std)):
        own = zip(head.parameters(), layer.parameters(), strict=True)
        policy += [(mine, rows, other) for mine, other in own]
    temperature: Rows = [(ours.log_temperature, ..., model.log_ent_coef)]
    with torch.no_grad():
        for mine, rows, other in policy + temperature:
            other.copy_(mine[rows])
    critics = _copied(ours.critic, [critic.qf0, critic.qf1])
    return [(own, ..., other) for own, other in critics], policy, temperature


def _copied(ours: nn.Module, theirs: Sequence[nn.Module]) -> Pairs:
    pairs = list(zip(ours.parameters(), [p for m in theirs for p in m.parameters()], strict=True))
    with torch.no_grad():
        for own, other in pairs:
            other.copy_(own)
    return pairs


# -- outputs and gradients ----------------------------------------------------------------------


@torch.no_grad()
def assessed(model: Any, x: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """PPO's values, log-probabilities and entropies, each (n,)."""
    value, log_prob, entropy = model.policy.evaluate_actions(x, action)
    return value.flatten(), log_prob, entropy


@torch.no_grad()
def q_values(model: Any, x: Tensor) -> Tensor:
    """DQN's values of all actions (n, A)."""
    return model.q_net(x)


def ppo_gradients(model: Any, batch: RolloutBatch) -> dict[Tensor, Tensor]:
    """Of the package's loss of a batch whose advantages are not normalized yet."""
    from stable_baselines3.common.type_aliases import RolloutBufferSamples

    samples = RolloutBufferSamples(
        observations=batch.x, actions=batch.action[:, None], old_values=batch.value,
        old_log_prob=batch.log_prob, advantages=batch.advantage, returns=batch.target,
    )  # fmt: skip
    model.n_epochs, model.max_grad_norm = 1, float("inf")
    model.rollout_buffer = SimpleNamespace(
        get=lambda size: iter([samples]), values=np.zeros(2), returns=np.arange(2.0)
    )
    with _noted([model.policy.optimizer]) as found:
        model.train()
    return found


def dqn_gradients(model: Any, batch: TransitionBatch) -> dict[Tensor, Tensor]:
    """Of the package's loss of a batch."""
    model.max_grad_norm = float("inf")
    with _noted([model.policy.optimizer]) as found, _replayed(model, batch):
        model.train(gradient_steps=1, batch_size=len(batch))
    return found


def sac_gradients(model: Any, batch: TransitionBatch, noise: Tensor) -> dict[Tensor, Tensor]:
    """Of critics', actor's and temperature's losses, all of which draw with the same noise."""
    optimizers = [model.critic.optimizer, model.actor.optimizer, model.ent_coef_optimizer]
    draw = mock.patch("torch.distributions.normal._standard_normal", return_value=noise)
    with _noted(optimizers) as found, _replayed(model, batch), draw:
        model.train(gradient_steps=1, batch_size=len(batch))
    return found


@contextlib.contextmanager
def _noted(optimizers: Sequence[torch.optim.Optimizer]) -> Iterator[dict[Tensor, Tensor]]:
    """Inside, the optimizers note the gradients they are given, and change nothing."""
    found: dict[Tensor, Tensor] = {}

    def note(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        def step() -> None:
            for group in optimizer.param_groups:
                found.update({p: p.grad.clone() for p in group["params"]})

        return step

    with contextlib.ExitStack() as stack:
        for optimizer in optimizers:
            stack.enter_context(mock.patch.object(optimizer, "step", note(optimizer)))
        yield found


def _replayed(model: Any, batch: TransitionBatch) -> Any:
    """Inside, the package's memory gives this batch."""
    from stable_baselines3.common.type_aliases import ReplayBufferSamples

    action = batch.action if batch.action.dim() > 1 else batch.action[:, None]
    samples = ReplayBufferSamples(
        observations=batch.x, actions=action, next_observations=batch.next,
        dones=(batch.discount == 0).float()[:, None], rewards=batch.reward[:, None],
    )  # fmt: skip
    return mock.patch.object(model.replay_buffer, "sample", return_value=samples)
