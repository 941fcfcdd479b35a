"""The policy of what acts: from observations to the best actions."""

from typing import Any

from torch import Tensor, nn

from phosphene.api.parts.part import PARTS, Made, Part
from phosphene.core.protocols import Acts

__all__: list[str] = []


class _Policy(nn.Module):
    """Observations (n, ...) to an agent's best actions."""

    def __init__(self, agent: Acts) -> None:
        super().__init__()
        self.agent = agent

    def forward(self, observation: Tensor) -> Tensor:
        action: Tensor = self.agent.act(observation)
        return action


def _policy(agent: Any, rows: int) -> Made:
    return _Policy(agent).eval(), (agent.spec.observation_example(rows),)


PARTS.add(
    Part(
        name="policy", source="observation", target="action", needs=(Acts,), make=_policy, place=10
    )
)
