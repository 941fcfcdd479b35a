"""The policy gradient theorem, over all trajectories of a small decision problem."""

import torch
from torch import Tensor

from phosphene.decision.deep.reinforce import REINFORCE
from phosphene.proofs.proof import Proof, Wrong, above, equal
from phosphene.proofs.tiny_mdp import SPEC, TinyMDP, expected_gradient, flat, prepared

__all__ = ["WRONG", "prove"]

_STATEMENT = (
    "grad J = E[sum_t gamma^t G_t grad log pi(a_t | s_t)], with G_t what is earned from t on; the "
    "same with the whole return G_0 and no gamma^t, and with a baseline b(s_t) taken from either. "
    "Without gamma^t it is the gradient of something else. Over all 3888 trajectories of 3 states, "
    "2 actions and 4 steps, by the loss of the agent `reinforce` itself, in float64."
)
_GAMMA = 0.7


def prove(seed: int = 0, *, agent: type[REINFORCE] = REINFORCE) -> Proof:
    """Compare each estimator's exact mean with the gradient of J by dynamic programming.

    Williams (1992); Sutton, McAllester, Singh and Mansour (2000). For the missing factor: Thomas
    (2014); Nota and Thomas (2020).

    Args:
        seed: Of the decision problem and of the policy's weights.
        agent: What estimates the gradient.

    Example:
        >>> prove().holds
        True
    """
    mdp = TinyMDP(seed, _GAMMA)
    paths = mdp.trajectories()
    kinds = {
        "whole return": {"reward_to_go": False, "baseline": "none"},
        "reward-to-go": {"baseline": "none", "discounted_states": True},
        "reward-to-go less b(s)": {"discounted_states": True},
        "whole return less b(s)": {"reward_to_go": False},
    }
    rows = []
    for name, settings in kinds.items():
        one = prepared(agent(SPEC, gamma=_GAMMA, hidden=(5,), **settings), seed)  # type: ignore[arg-type]
        exact = flat(mdp.objective(one), one)
        found = expected_gradient(one, paths)
        rows.append(equal(f"{name}: |E[estimate] - grad J|", (found - exact).abs().max(), 0, 1e-12))
    total = paths.probability(one).sum()
    rows.append(equal("probabilities of all trajectories", total, 1, 1e-12))

    for gamma, wanted in ((_GAMMA, 1e-3), (1.0, None)):
        mdp.gamma = gamma
        one = prepared(agent(SPEC, gamma=gamma, hidden=(5,), baseline="none"), seed)
        exact = flat(mdp.objective(one), one)
        bias = (expected_gradient(one, paths) - exact).abs().max()
        name = f"without gamma^t, gamma = {gamma:g}: |E[estimate] - grad J|"
        rows.append(above(name, bias, wanted) if wanted else equal(name, bias, 0, 1e-12))
    return Proof("policy-gradient", "The policy gradient theorem", _STATEMENT, rows)


class _WithoutFactor(REINFORCE):
    def credit(self, x: Tensor, reward: Tensor, lived: Tensor) -> tuple[Tensor, Tensor]:
        """Without gamma^t, whatever was asked for."""
        credit, target = super().credit(x, reward, lived)
        if self.reward_to_go and self.discounted_states:
            credit = credit / self.gamma ** torch.arange(credit.shape[1], dtype=credit.dtype)
        return credit, target


WRONG = Wrong(
    "grad J = E[sum_t G_t grad log pi(a_t | s_t)], without gamma^t, as most code has it",
    {"agent": _WithoutFactor},
)
