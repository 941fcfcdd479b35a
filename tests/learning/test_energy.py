"""Energy-based models learn bars and stripes, whose entropy is ln 14 = 2.639 nats."""

import math
from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.data.bars import patterns
from phosphene.generative.energy.gsn import stationary


@pytest.mark.slow
@pytest.mark.parametrize(("system", "least"), [("rbm", 2.85), ("boltzmann-machine", 2.85)])
def test_machines_learn_bars_and_stripes(system: str, least: float, tmp_path: Path) -> None:
    run = ph.train(system, data="bars3", folder=tmp_path, name="run", threads=1)
    with torch.no_grad():
        nll = -float(run.model.log_prob(patterns(3)).mean())
    print(system, nll)
    assert math.log(14) < nll < least


@pytest.mark.slow
def test_a_learned_chain_has_the_data_as_its_stationary_law(tmp_path: Path) -> None:
    data = torch.zeros(512, dtype=torch.float64)
    place = 2 ** torch.arange(8, -1, -1)
    data[(patterns(3).flatten(1).long() * place).sum(1)] = 1 / 14
    distances = {}
    for kernel in ("autoregressive", "factorised"):
        run = ph.train(
            "gsn", data="bars3", budget="2000steps", folder=tmp_path, name=kernel, threads=1,
            kernel=kernel,
        )  # fmt: skip
        pi = stationary(run.model.double().transition_matrix())
        distances[kernel] = float((pi - data).abs().sum() / 2)
    print(distances)
    assert distances["autoregressive"] < 0.1
    assert distances["factorised"] > 3 * distances["autoregressive"]
