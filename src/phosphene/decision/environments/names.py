"""The environments of this package, by name."""

__all__ = ["HERE", "NATIVE", "OURS", "TABULAR", "names"]

HERE = "phosphene.decision.environments"
NATIVE = {
    "CartPole-v1": f"{HERE}.cartpole:CartPole",
    "Acrobot-v1": f"{HERE}.acrobot:Acrobot",
    "MountainCar-v0": f"{HERE}.mountain_car:MountainCar",
    "MountainCarContinuous-v0": f"{HERE}.mountain_car:MountainCarContinuous",
    "Pendulum-v1": f"{HERE}.pendulum:Pendulum",
    "Catch": f"{HERE}.catch:Catch",
}
TABULAR: dict[str, tuple[str, int | None, dict[str, str]]] = {
    "FrozenLake-v1": (f"{HERE}.tabular:frozen_lake", 100, {}),
    "FrozenLake8x8-v1": (f"{HERE}.tabular:frozen_lake", 200, {"map_name": "8x8"}),
    "CliffWalking-v1": (f"{HERE}.tabular:cliff_walking", None, {}),
    "CliffWalkingSlippery-v1": (f"{HERE}.tabular:cliff_walking", None, {"is_slippery": "true"}),
    "Taxi-v4": (f"{HERE}.tabular:taxi", 200, {}),
}
"""Functions that make the process, its limit in steps, and options that the name stands for."""


OURS = ("limit",)


def names() -> list[str]:
    """The environments that are ours: with known dynamics, and with known tables.

    Example:
        >>> names()[:3]
        ['CartPole-v1', 'Acrobot-v1', 'MountainCar-v0']
    """
    return [*NATIVE, *TABULAR]
