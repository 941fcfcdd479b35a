"""Pictures of agents: value maps, learning curves, moments of episodes."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import phosphene as ph
from phosphene.decision.environments.table import make
from phosphene.evaluate import plots
from phosphene.subjects.environment.playing import film
from phosphene.subjects.environment.value_map import value_map

__all__ = ["agents", "learning", "value_maps"]

_SHOWN = (
    ("ppo", "CartPole-v1"),
    ("ppo", "Acrobot-v1"),
    ("sac", "Pendulum-v1"),
    ("dqn", "MountainCar-v0"),
)


def agents(studio: Any) -> Image.Image:
    """Six moments of an episode of each of four agents, a row each."""
    rows = []
    for system, env in _SHOWN:
        frames = film(studio.agent(system, env)).frames
        picks = np.linspace(0, len(frames) - 1, 6).round().astype(int)
        row = [Image.fromarray(frames[i]).resize((200, 150), Image.LANCZOS) for i in picks]
        rows.append(np.concatenate([np.asarray(picture) for picture in row], axis=1))
    return Image.fromarray(np.concatenate(rows))


def value_maps(studio: Any) -> Image.Image:
    """The cliff as SARSA and as Q-learning see it, and the exact values of the large lake."""
    pictures = []
    for system in ("sarsa", "q-learning"):
        agent = studio.agent(system, "CliffWalking-v1").model
        mdp = make("CliffWalking-v1").mdp
        states = torch.arange(mdp.states)[:, None]
        pictures.append(value_map(mdp.grid, agent.state_values(states), agent.act(states)))
    lake = make("FrozenLake-v1?map_name=8x8").mdp
    exact = ph.decision.value_iteration(lake, gamma=0.99)
    pictures.append(value_map(lake.grid, exact.values, exact.policy))
    solve = 'phosphene solve value-iteration --env "FrozenLake-v1?map_name=8x8" --gamma 0.99'
    studio.commands.append({"command": solve, "steps": exact.iterations})
    images = [Image.open(BytesIO(plots.png(figure, dpi=90))) for figure in pictures]
    width = max(image.width for image in images)
    sheet = Image.new("RGB", (width, sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        sheet.paste(image, ((width - image.width) // 2, top))
        top += image.height
    return sheet


def learning(studio: Any) -> Image.Image:
    """Learning curves of three agents over three seeds, with their intervals."""
    where = Path("runs") / "docs" / "compare-agents"
    shutil.rmtree(where, ignore_errors=True)
    words = ["compare", "ppo", "pqn", "dqn", "--env", "CartPole-v1", "--seeds", "3"]
    words += ["--budget", studio.budget or "50000steps", "--name", "docs/compare-agents"]
    studio.command(words)
    rows = json.loads((where / "compare.json").read_text())["rows"]
    steps = round(sum(row["environment_steps"] for row in rows))
    studio.commands.append({"command": f"phosphene {' '.join(words)}", "steps": steps})
    picture = Image.open(where / "compare.png")
    return picture.resize((900, round(900 * picture.height / picture.width)), Image.LANCZOS)
