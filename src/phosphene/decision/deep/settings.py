"""Groups of settings that agents with networks share."""

from collections.abc import Sequence

from phosphene.core.config import Configured
from phosphene.core.ranges import Count, Natural, NotNegative, Part
from phosphene.core.settings import setting
from phosphene.nn.settings import ActivationSettings

__all__ = [
    "EntropySettings",
    "EnvironmentSettings",
    "EpsilonSettings",
    "ObservationSettings",
    "QNetworkSettings",
    "ReplaySettings",
    "RewardSettings",
    "ValueSettings",
]


class EnvironmentSettings(Configured):
    """The environments that experience comes from."""

    environments: Count = setting(
        default=8, help="Environments that are stepped in parallel, over all ranks."
    )


class ObservationSettings(Configured):
    """What is done to observations."""

    standardize: bool = setting(
        default=False,
        help="Standardize observations by the mean and deviation of all seen so far.",
    )


class RewardSettings(Configured):
    """What is done to rewards."""

    scale_rewards: bool = setting(
        default=False,
        help="Divide rewards by the standard deviation of their discounted sums.",
    )


class EpsilonSettings(Configured):
    """Random actions, fewer and fewer."""

    epsilon_start: Part = setting(default=1.0, help="Probability of a random action at the start.")
    epsilon_end: Part = setting(default=0.05, help="Probability of a random action at the end.")
    epsilon_steps: Count = setting(
        default=10_000,
        help="Environment steps over which that probability falls to its last value.",
    )


class ReplaySettings(EnvironmentSettings):
    """Transitions that are kept and drawn again."""

    act_steps: Count = setting(default=1, help="Steps in each environment a cycle.")
    turns: Count = setting(default=1, help="Gradient steps a cycle.")
    batch_size: Count = setting(default=64, help="Transitions in a gradient step, over all ranks.")
    capacity: Count = setting(
        default=100_000,
        help="Size of the replay memory in transitions; the oldest are overwritten.",
    )
    warmup: Natural = setting(
        default=1_000, help="Transitions, by random actions, before the first gradient step."
    )


class QNetworkSettings(ActivationSettings, ObservationSettings):
    """The network of Q."""

    hidden: Sequence[int] = setting(
        default=(128, 128), help="Widths of the hidden layers, of each stream."
    )


class EntropySettings(Configured):
    """The weight of the policy's entropy in the objective."""

    c_entropy: NotNegative = setting(
        alias="entropy", default=0.0, help="Weight of the policy's entropy in the objective."
    )


class ValueSettings(EntropySettings):
    """The weight of the value's error in the loss."""

    c_value: NotNegative = setting(
        alias="value", default=0.5, help="Weight of the value's squared error."
    )
