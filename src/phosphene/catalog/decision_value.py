"""The rows of agents that learn the values of actions from replayed experience."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_DEEP = "phosphene.decision.deep"

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
)
