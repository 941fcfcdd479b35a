"""The rows of agents with neural networks, and of statements about policy gradients."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 70
"""Where the family stands among the others."""

_DEEP = "phosphene.decision.deep"
_PROOFS = "phosphene.proofs"
_ACTS_IN = ("states", "discrete", "continuous", "pixels")

SYSTEMS: tuple[System, ...] = (
    System(
        name="deep-q-learning",
        family="decision",
        title="Deep Q-learning with experience replay",
        kind="agent",
        events=("states", "discrete", "pixels"),
        rows=(97,),
        paper="Mnih, Kavukcuoglu, Silver, Graves, Antonoglou, Wierstra and Riedmiller, 2013",
        target=f"{_DEEP}.deep_q_learning:DeepQLearning",
    ),
    System(
        name="dqn",
        family="decision",
        title="Deep Q-network (DQN), double, dueling, n-step and prioritized if asked",
        kind="agent",
        events=("states", "discrete", "pixels"),
        rows=(98,),
        paper="Mnih, Kavukcuoglu, Silver and others, 2015; van Hasselt, Guez and Silver, 2016",
        target=f"{_DEEP}.dqn:DQN",
    ),
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
        rows=(100, 175),
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
    System(
        name="ppo",
        family="decision",
        title="Proximal policy optimization (PPO)",
        kind="agent",
        events=("states", "discrete", "continuous", "pixels"),
        rows=(99, 102),
        paper="Schulman, Wolski, Dhariwal, Radford and Klimov, 2017",
        target="phosphene.decision.deep.ppo:PPO",
    ),
    System(
        name="pqn",
        family="decision",
        title="Parallelized Q-network (PQN)",
        kind="agent",
        events=("states", "discrete", "pixels"),
        rows=(97, 98),
        paper="Gallici, Fellows, Ellis, Pou, Masmitja, Foerster and Martin, 2024",
        target=f"{_DEEP}.pqn:PQN",
    ),
    System(
        name="sac",
        family="decision",
        title="Soft actor-critic (SAC)",
        kind="agent",
        events=("continuous",),
        rows=(99, 102),
        paper="Haarnoja, Zhou, Hartikainen et al., 2018",
        target=f"{_DEEP}.sac:SAC",
    ),
)
