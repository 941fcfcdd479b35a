"""Rows for the model and the agent in ``examples``, as a package would add them."""

from phosphene.catalog import System

SYSTEMS = [
    System(
        name="bernoulli-mixture",
        family="example",
        title="Mixture of Bernoullis",
        kind="model",
        events=("binary", "binary-image"),
        rows=(2,),
        paper="Lazarsfeld and Henry, 1968",
        target="examples.custom_model:BernoulliMixture",
    ),
    System(
        name="penalty-ppo",
        family="example",
        title="PPO with a penalty",
        kind="agent",
        events=("states", "discrete", "continuous", "pixels"),
        rows=(2,),
        paper="Schulman et al., 2017",
        target="examples.custom_agent:PenaltyPPO",
    ),
]
