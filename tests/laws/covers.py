"""Which cases of a row a law is tried on: all of them, or as few as show all that can matter to it.

A row has a case for each event with each of its small settings, and with labels. What a law of
configuration, copies or files asks is no matter of the event: each setting, a condition, codes and
reals are met once. What a law of draws asks is no matter of every pair of an event and a setting:
each setting, a condition and each kind of event are met once. The laws of densities, of
gradients and of what may be seen are tried on all.
"""

from collections.abc import Callable, Iterator

from tests.laws.support import Case

__all__ = ["PLAIN", "WHOLE", "context_shown", "cover", "trials"]

Shows = Callable[[Case], set[object]]

PLAIN = frozenset({
    "law_builds", "law_capabilities_tell_the_truth", "law_configuration_round_trips", "law_copies",
    "law_global_generators_untouched", "law_loss_is_finite_in_double",
    "law_mode_changes_no_answer", "law_phases_are_stable", "law_saves_and_loads",
})  # fmt: skip
"""Laws for which the kind of event is no matter."""

WHOLE = frozenset({
    "law_conditionals_look_back_only", "law_density_is_normalized", "law_every_parameter_learns",
    "law_examples_do_not_mix", "law_inverts", "law_log_determinant_is_autograds",
    "law_refuses_bad_input", "law_samples_lie_in_the_support",
})  # fmt: skip
"""Laws that are tried on every case."""


def cover(found: list[Case], shows: Shows) -> list[Case]:
    """As few cases, taken greedily, as show all that any of them shows."""
    left = set[object]().union(*map(shows, found))
    taken = []
    while left:
        taken.append(max(found, key=lambda case: len(shows(case) & left)))
        left -= shows(taken[-1])
    return taken


def _plain(case: Case) -> set[object]:
    told = {(name, repr(value)) for name, value in case.settings.items()}
    return {*told, ("told", bool(case.context)), ("discrete", case.event.discrete)}


def _event(case: Case) -> set[object]:
    event = case.event
    channels = event.shape[0] if event.kind == "image" else 0
    return {*_plain(case), (event.kind, event.levels == 2, channels)}


def context_shown(case: Case) -> set[object]:
    """Each kind of context is met once, with codes and reals, with images and others."""
    assert case.context is not None
    event = case.event
    return {case.context.names, ("discrete", event.discrete), ("image", event.has_image_shape)}


def trials(found: list[Case]) -> Iterator[tuple[Case, str]]:
    """The cases of a row, each with the names of the laws that it is held to."""
    plain, events = (_names(cover(found, shows)) for shows in (_plain, _event))
    for case in found:
        for name in case.laws():
            suited = plain if name in PLAIN else events
            if name in WHOLE or case.name in suited:
                yield case, name


def _names(found: list[Case]) -> set[str]:
    return {case.name for case in found}
