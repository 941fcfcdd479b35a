"""Recipes of agents with networks; ``*`` suits any other environment."""

from phosphene.catalog.recipe import Recipe
from phosphene.decision.deep.recipes.policy import RECIPES as _POLICY
from phosphene.decision.deep.recipes.ppo import RECIPES as _PPO
from phosphene.decision.deep.recipes.pqn_and_sac import RECIPES as _PQN_AND_SAC
from phosphene.decision.deep.recipes.value import RECIPES as _VALUE

__all__ = ["RECIPES"]

RECIPES: tuple[Recipe, ...] = (*_VALUE, *_POLICY, *_PPO, *_PQN_AND_SAC)
