"""Laws of a row of the catalogue: what it promises before anything is built."""

import doctest
import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import torch

from phosphene.catalog import System, kinds
from phosphene.core.config import encode
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.core.rng import seeded
from tests.helpers.meddler import Meddler
from tests.helpers.proved import shared_names
from tests.laws import small
from tests.laws.support import LABELS, one_sentence

RowLaw = Callable[[System], None]
ROW_LAWS: dict[str, RowLaw] = {}
KINDS: dict[str, tuple[str, ...]] = {}


LEARNING = tuple(kind.trains for kind in kinds())


def row_law(*kinds: str) -> Callable[[RowLaw], RowLaw]:
    """Register a law that needs the row alone: of rows of these kinds, or of every kind."""

    def register(function: RowLaw) -> RowLaw:
        ROW_LAWS[function.__name__] = function
        KINDS[function.__name__] = kinds
        return function

    return register


def row_laws(row: System) -> list[str]:
    """The names of the laws that concern a row."""
    return [name for name, kinds in KINDS.items() if not kinds or row.kind in kinds]


@row_law()
def law_row_is_filled_in(row: System) -> None:
    """A row names the systems it realises, its paper with a year, and events that laws know."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.name), f"{row.name!r} has odd letters"
    assert row.title, "the row has no title"
    assert not row.title.endswith("."), "a title is not a sentence"
    assert row.rows, "the row names no system of the course"
    assert all(1 <= number <= 183 for number in row.rows), f"rows {row.rows}"
    assert re.search(r"\b(1[6-9]|20)\d\d\b", row.paper), f"the paper {row.paper!r} has no year"
    ground = _ground(row)
    unknown = set(row.events) - set(ground.events(row) if ground else ())
    assert not unknown, f"the laws know no event called {unknown}"
    assert row.kind not in LEARNING or row.events, "it takes some event"


@row_law()
def law_target_imports(row: System) -> None:
    """The target can be imported and is what the kind says."""
    target = row.load()
    assert callable(target), f"{row.target} cannot be called"
    ground = _ground(row)
    base: Any = ground.base if ground else object
    assert row.kind not in LEARNING or inspect.isclass(target), f"{row.target} is not a class"
    assert base is object or issubclass(target, base), f"{row.target} is no {base.__name__}"


def _ground(row: System) -> Any:
    """How the laws build it; None for what does not learn."""
    from tests.laws.grounds import GROUNDS  # they hold laws themselves

    return GROUNDS.get(row.kind)


@row_law()
def law_docstring_cites(row: System) -> None:
    """A model's docstring names an author and the year of its paper, and shows an example.

    It also explains every setting. A proof or a tool may cite anywhere in its module.
    """
    text = row.load().__doc__ or ""
    assert len(text) > 50, f"the docstring of {row.target} says too little"
    ground = _ground(row)
    if ground is None or not ground.explains:
        text = inspect.getsource(importlib.import_module(row.target.partition(":")[0]))
    authors = [w for w in re.findall(r"[^\W\d_]{3,}", row.paper) if w[0].isupper()]
    assert any(author in text for author in authors), f"no author of {row.paper!r} is named"
    years = re.findall(r"\b(?:1[6-9]|20)\d\d\b", row.paper)
    assert any(year in text for year in years), f"no year of {row.paper!r} is named"
    if row.kind in LEARNING:
        text = row.load().__doc__ or ""
        assert ">>>" in text, "the docstring shows no example"
        silent = [name for name in _settings(row) if not re.search(rf"\b{name}\b", text)]
        assert not silent, f"the docstring does not explain {', '.join(silent)}"


def _settings(row: System) -> dict[str, inspect.Parameter]:
    """The constructor's keyword-only parameters, less the context."""
    parameters = inspect.signature(row.load().__init__).parameters
    return {
        name: p
        for name, p in parameters.items()
        if p.kind is inspect.Parameter.KEYWORD_ONLY and name != "context"
    }


@row_law()
def law_doctests_run(row: System) -> None:
    """The examples of the module give what they show."""
    module = importlib.import_module(row.target.partition(":")[0])
    with torch.random.fork_rng(devices=[]):
        failed, _ = doctest.testmod(
            module,
            extraglobs=shared_names(module),
            optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS,
        )
    assert failed == 0, f"{failed} examples of {module.__name__} fail"


@row_law("model")
def law_constructor_is_the_configuration(row: System) -> None:
    """``(event, *, context, <typed settings with JSON defaults>)``, and nothing variadic."""
    parameters = list(inspect.signature(row.load().__init__).parameters.values())[1:]
    assert parameters[0].name == "event", "the first argument is the event"
    assert any(p.name == "context" for p in parameters), "there is no argument 'context'"
    for p in parameters[1:]:
        assert p.kind is inspect.Parameter.KEYWORD_ONLY, f"{p.name} is not keyword-only"
        assert p.annotation is not inspect.Parameter.empty, f"{p.name} has no type"
        assert p.default is not inspect.Parameter.empty, f"{p.name} has no default"
        encode(p.default)


@row_law(*LEARNING)
def law_unknown_settings_are_refused(row: System) -> None:
    """A misspelt setting is named, with the nearest known one."""
    for name in [*list(_settings(row))[:1], "no_such_setting"]:
        try:
            row.load().check_settings({f"{name}s": 1})
        except UnknownNameError as error:
            one_sentence(error)
            if f"{name}s" not in str(error):
                raise AssertionError(f"the message does not name {name}s: {error}") from error
        else:
            raise AssertionError(f"the setting {name}s is accepted")


@row_law("model")
def law_takes_what_it_claims(row: System) -> None:
    """It builds with small settings for each claimed kind of event, and refuses every other."""
    labels = LABELS if row.context == "required" else None
    for kind, events in small.events(row).items():
        for event in events:
            if kind in row.events:
                context = labels and (small.context(row.name, event) or labels)
                for settings in small.settings(row.name, event):
                    model = row.load()(event, context=context, **settings)
                    assert model.event == event, f"built for {event}, it has another event"
            else:
                _refused(lambda event=event: row.load()(event, context=labels), f"a {kind} event")


@row_law("model")
def law_takes_the_context_it_claims(row: System) -> None:
    """A context is refused where it cannot be used, and asked for where it is needed."""
    event = small.events(row)[row.events[0]][0]
    settings = small.settings(row.name, event)[0]
    if row.context == "required":
        _refused(lambda: row.load()(event, **settings), "no context")
    elif row.context == "none":
        _refused(lambda: row.load()(event, context=LABELS, **settings), "labels")
    if row.context != "none":
        row.load()(event, context=small.context(row.name, event) or LABELS, **settings)
    if row.context != "required":
        assert not row.load()(event, context=ContextSpec(), **settings).context


@row_law(*LEARNING)
def law_weights_are_a_function_of_the_seed(row: System) -> None:
    """Whatever other threads draw meanwhile: building never touches the global generator."""
    for subject, told in _ground(row).small(row):
        with seeded(7):
            alone = row.load()(subject, **told)
        with Meddler(), seeded(7):
            disturbed = row.load()(subject, **told)
        assert alone.state_dict().keys() == disturbed.state_dict().keys(), "it has other weights"
        for name, value in alone.state_dict().items():
            same = torch.equal(value, disturbed.state_dict()[name])
            assert same, f"{name} is drawn from the global generator"


def _refused(build: Callable[[], object], what: str) -> None:
    try:
        build()
    except (EventError, ConfigError) as error:
        one_sentence(error)
    except Exception as error:
        raise AssertionError(f"{what} ends in {type(error).__name__}: {error}") from error
    else:
        raise AssertionError(f"{what} is accepted, though the row does not claim it")
