"""Faults of agents, kernels, scores and settings."""

from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from phosphene.decision.deep.dqn import DQN
from phosphene.decision.deep.observations import RunningScale
from phosphene.decision.deep.ring import Ring
from phosphene.kernels.gate_checks import Checks
from tests.decision.deep import test_deep_advantages as gae
from tests.decision.deep import test_deep_dqn, test_deep_ppo, test_deep_replay
from tests.decision.tabular import test_tabular_exploration as exploring
from tests.evaluate import bad, test_bad_models, test_fidelity
from tests.faults.fault import planted
from tests.generative import test_continuous_flow
from tests.kernels import test_gate
from tests.laws.counted import asserting
from tests.laws.rows import ROW_LAWS
from tests.laws.toys import Coins, row_of


def limits_are_ends(patch: pytest.MonkeyPatch) -> None:
    plain = test_deep_replay.n_step_returns

    def returns(reward: Tensor, done: Tensor, terminated: Tensor, **how: float) -> object:
        return plain(reward, done, done, **how)

    patch.setattr(test_deep_replay, "n_step_returns", returns)


def one_place_on(patch: pytest.MonkeyPatch) -> None:
    plain = Ring.take

    def take(self: Ring, index: Tensor) -> dict[str, Tensor]:
        after = plain(self, (index + 1) % self.size)
        return plain(self, index) | {"reward": after["reward"]}

    patch.setattr(Ring, "take", take)


def lambda_is_one(patch: pytest.MonkeyPatch) -> None:
    plain = gae.advantages
    patch.setattr(gae, "advantages", lambda *a, **how: plain(*a, **{**how, "lambda_": 1.0}))


def cut_is_ended(patch: pytest.MonkeyPatch) -> None:
    plain = gae.advantages

    def advantages(
        r: Tensor, v: Tensor, f: Tensor, end: Tensor, done: Tensor, **how: Any
    ) -> Tensor:
        return plain(r, v, f, done, done, **how)

    patch.setattr(gae, "advantages", advantages)


def stands_still(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DQN, "follow", lambda self, batch, step: {})


def forgets_what_was_met(patch: pytest.MonkeyPatch) -> None:
    plain = RunningScale.update

    def update(self: RunningScale, x: Tensor) -> None:
        for value in self.buffers():
            value.zero_()
        plain(self, x)

    patch.setattr(RunningScale, "update", update)


def first_of_equals(patch: pytest.MonkeyPatch) -> None:
    plain = exploring.greedy
    patch.setattr(exploring, "greedy", lambda q, ties="random": plain(q, ties="first"))


planted("n-step returns take a time limit for an end", "time limit",
        test_deep_replay.test_n_step_returns_are_those_of_a_loop, limits_are_ends, 3)  # fmt: skip
planted("advantages take a time limit for an end", "advantages",
        gae.test_what_a_limit_cuts_off_is_worth_its_value, cut_is_ended, 0.6)  # fmt: skip
planted("indices of replay are off by one", "replay",
        test_deep_replay.test_transitions_are_true_and_stay_within_an_episode, one_place_on,
        1, 23)  # fmt: skip
planted("lambda is ignored", "lambda", gae.test_lambda_zero_is_the_residual, lambda_is_one)
planted("the target network is never updated", "target network",
        test_deep_dqn.test_the_target_network_follows_at_its_intervals, stands_still,
        1.0)  # fmt: skip
planted("the scale of rewards is that of the last batch", "scale of rewards",
        test_deep_ppo.test_running_scale_is_that_of_everything_seen,
        forgets_what_was_met)  # fmt: skip
planted("of equal actions the first is taken", "ties", exploring.test_probabilities,
        first_of_equals)  # fmt: skip


def unchecked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Checks, "rule", lambda self, rule: None)


planted("an index out of range comes to a kernel", "kernel binding",
        test_gate.test_a_declaration_is_all_that_a_new_kernel_needs, unchecked)  # fmt: skip


def lopsided_probes(patch: pytest.MonkeyPatch) -> None:
    plain = test_continuous_flow.probes_of
    patch.setattr(test_continuous_flow, "probes_of", lambda *a: 2 * plain(*a))


planted("an estimate of a trace is biased", "estimator",
        test_continuous_flow.test_hutchinsons_estimate_has_no_bias, lopsided_probes,
        "rademacher", (4,), False)  # fmt: skip


def biased_distance(patch: pytest.MonkeyPatch) -> None:
    plain = test_fidelity.kernel_distance

    def distance(x: Tensor, y: Tensor, **how: int) -> object:
        value, error = plain(x, y, **how)
        return abs(value), error

    patch.setattr(test_fidelity, "kernel_distance", distance)


def upside_down(patch: pytest.MonkeyPatch) -> None:
    way, make = bad.CASES["nll"]

    def negated() -> bad.Pair:
        good, worse = ({"nll": replace(s["nll"], value=-s["nll"].value)} for s in make())
        return good, worse

    patch.setitem(bad.CASES, "nll", (way, negated))


planted("a distance that is never negative is called unbiased", "scorer",
        test_fidelity.test_kernel_distance_is_unbiased, biased_distance)  # fmt: skip
planted("a metric has the wrong direction", "metric",
        test_bad_models.test_a_bad_model_gets_a_bad_score, upside_down, "nll")  # fmt: skip


def refuses_misspellings() -> None:
    asserting(ROW_LAWS["law_unknown_settings_are_refused"], row_of(Coins))


def takes_anything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Coins, "check_settings", classmethod(lambda cls, settings: None))


planted("a misspelt setting is accepted", "settings", refuses_misspellings, takes_anything)
