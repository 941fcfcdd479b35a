"""An agent of your own, trained and scored."""

from typing import Any

import torch

import phosphene as ph
from phosphene.core.settings import setting
from phosphene.decision.deep.actor_critic import ActorCritic
from phosphene.decision.deep.ppo import generalized_advantage
from phosphene.decision.deep.rollouts import Rollouts


class PenaltyPPO(ActorCritic):
    """PPO with a penalty, -r A + beta (r - 1 - log r), in place of clipping."""

    environments: int = setting(default=16, help="Environments that are stepped in parallel.")
    steps: int = setting(default=64, help="Time steps of a rollout.")
    beta: float = setting(default=1.0, help="Weight of the estimated KL divergence.")

    def experience(self, *where: Any) -> Rollouts:
        how = {"epochs": 8, "batch_size": self.environments * self.steps // 4, "normalize": True}
        how |= {"gamma": self.gamma, "lambda_": 0.9, "formula": generalized_advantage}
        return Rollouts(self, *where, steps=self.steps, **how)

    def phases(self) -> list[ph.Phase]:
        return [ph.Phase("policy", list(self.parameters()), self.loss, repeat=8 * 4)]

    def loss(self, batch: Any) -> ph.Loss:  # of a rollout: observations, actions, advantages, ...
        policy, value = self.both(self.eyes(batch.x))
        log_ratio = policy.log_prob(batch.action) - batch.log_prob
        kl, gain = log_ratio.exp() - 1 - log_ratio, log_ratio.exp() * batch.advantage
        return ph.Loss((self.beta * kl - gain + 0.5 * (value - batch.target) ** 2).mean())


if __name__ == "__main__":
    torch.manual_seed(0)
    agent = PenaltyPPO(ph.decision.make("CartPole-v1").spec, gamma=0.98)
    run = ph.train(agent, env="CartPole-v1", budget="20000steps", lr=0.0015, clip=0.5)
    print(ph.evaluate(run, episodes=20)["return_mean"])
