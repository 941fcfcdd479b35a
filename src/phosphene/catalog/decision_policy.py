"""The rows of policy gradients: agents, and statements that are proved by running them."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_DEEP = "phosphene.decision.deep"
_PROOFS = "phosphene.recipes.proofs"
_ACTS_IN = ("states", "discrete", "continuous", "pixels")

SYSTEMS: tuple[System, ...] = (
    System(
        name="reinforce",
        family="decision",
        title="REINFORCE (Monte-Carlo policy gradient, with a baseline)",
        kind="agent",
        events=_ACTS_IN,
        rows=(99, 100, 101),
        paper="Williams, 1992",
        target=f"{_DEEP}.reinforce:REINFORCE",
    ),
    System(
        name="a2c",
        family="decision",
        title="Advantage actor-critic (A2C)",
        kind="agent",
        events=_ACTS_IN,
        rows=(99, 102),
        paper="Barto, Sutton and Anderson, 1983; Mnih et al., 2016",
        target=f"{_DEEP}.a2c:A2C",
    ),
    System(
        name="policy-gradient",
        family="decision",
        title="Proof: the policy gradient theorem, over all trajectories",
        kind="proof",
        rows=(100,),
        paper="Williams, 1992; Sutton, McAllester, Singh and Mansour, 2000",
        target=f"{_PROOFS}.policy_gradient:prove",
    ),
    System(
        name="baseline",
        family="decision",
        title="Proof: a baseline takes variance away and adds no bias",
        kind="proof",
        rows=(101,),
        paper="Williams, 1992; Greensmith, Bartlett and Baxter, 2004",
        target=f"{_PROOFS}.baseline:prove",
    ),
    System(
        name="generalized-advantage",
        family="decision",
        title="Proof: generalized advantage estimation and its limits",
        kind="proof",
        rows=(102,),
        paper="Schulman, Moritz, Levine, Jordan and Abbeel, 2016",
        target=f"{_PROOFS}.gae:prove",
    ),
    System(
        name="linear-quadratic",
        family="decision",
        title="Proof: policy gradients find the gain of Riccati's equation",
        kind="proof",
        rows=(99, 100),
        paper="Kalman, 1960; Fazel, Ge, Kakade and Mesbahi, 2018",
        target=f"{_PROOFS}.lqr:prove",
    ),
)
