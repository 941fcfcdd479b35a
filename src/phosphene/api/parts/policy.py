"""The policy of what acts: from observations to the best actions."""

from typing import Any

from torch import Tensor, nn

from phosphene.api.parts.part import PARTS, Made, Part
from phosphene.core.protocols import Acts

__all__: list[str] = []


class _Policy(nn.Module):
    """Observations (n, ...) to the best actions."""

    def __init__(self, model: Acts) -> None:
        super().__init__()
        self.model = model

    def forward(self, observation: Tensor) -> Tensor:
        action: Tensor = self.model.act(observation)
        return action


def _policy(model: Any, rows: int) -> Made:
    return _Policy(model).eval(), (model.spec.observation_example(rows),)


PARTS.add(
    Part(
        name="policy", source="observation", target="action", needs=(Acts,), make=_policy, place=10
    )
)
