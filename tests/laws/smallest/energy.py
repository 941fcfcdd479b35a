"""Small settings of the family energy."""

from collections.abc import Callable

from phosphene.core.event import Event

Settings = dict[str, object]


def _boltzmann(event: Event) -> tuple[Settings, ...]:
    chains: Settings = {"sweeps": 3, "ais_chains": 10, "ais_temperatures": 5, "chains": 8}
    if event.dimensions > 9:
        return chains, {**chains, "hidden": 2}
    return {**chains, "hidden": 2}, {**chains, "hidden": 2, "learning": "persistent"}


def _rbm(event: Event) -> tuple[Settings, ...]:
    chains: Settings = {"gibbs": 5, "ais_chains": 10, "ais_temperatures": 5, "chains": 8}
    few: Settings = {**chains, "hidden": 4}
    if event.dimensions > 9:
        return few, {**chains, "hidden": 20, "learning": "tempering"}
    tempered: Settings = {**few, "learning": "tempering", "temperatures": 3}
    return few, {**few, "learning": "cd", "steps": 2}, tempered, {**chains, "hidden": 12}


def _gsn(event: Event) -> tuple[Settings, ...]:
    small: Settings = {"hidden": (8,), "burn_in": 3, "walkback": 2}
    return small, {**small, "kernel": "factorised"}


SETTINGS: dict[str, Callable[[Event], tuple[Settings, ...]]] = {
    "boltzmann-machine": _boltzmann,
    "gsn": _gsn,
    "rbm": _rbm,
}
