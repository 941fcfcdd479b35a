"""Settings declared once: inherited, changed, removed, checked, recorded, explained."""

import copy
import inspect
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import torch

import phosphene as ph
from phosphene.catalog import systems
from phosphene.cli.main import main
from phosphene.core.config import Configured, decode, encode, parameters_of
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, UnknownNameError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.ranges import Count, NotNegative, Positive
from phosphene.core.settings import help_of, pinned, setting, settings_of, values_of
from phosphene.generative.autoencoder.beta_vae import BetaVAE
from phosphene.generative.autoencoder.vae import VAE
from tests.helpers import settings as written


class WidthSettings(Configured):
    width: Count = setting(default=8, help="Of a layer.")
    unit: Literal["relu", "tanh"] = setting(default="relu", help="Between layers.")


class NoiseSettings(Configured):
    noise: Positive = setting(default=0.5, help="Its deviation.")


class Net(WidthSettings, NoiseSettings, Model):
    """A net.

    Args:
        event: A vector.

    Example:
        >>> 1 + 1
        2
    """

    depth: Count = setting(default=2, help="Layers.")
    rate_given: NotNegative | None = setting(alias="rate", default=None, help="Of learning.")

    def setup(self) -> None:
        super().setup()
        self.rate = 0.1 if self.rate_given is None else self.rate_given
        self.layer = torch.nn.Linear(self.event.dimensions, self.width)


class Wide(Net):
    """A wide net."""

    width: Count = setting(default=32, help="Of a wide layer.")
    depth: Count = pinned(default=1)


EVENT = Event.binary(3)
SYSTEMS = [row for row in systems() if row.kind in ("model", "agent")]


def test_settings_are_inherited_and_taken_in_side_by_side():
    net = Net(EVENT, width=4, noise=1.0)
    assert (net.width, net.unit, net.noise, net.depth) == (4, "relu", 1.0, 2)
    assert net.layer.out_features == 4
    assert list(net.config) == ["event", "context", "depth", "rate", "width", "unit", "noise"]
    assert net.config["context"] is None
    assert net.context == ContextSpec()
    assert values_of(net) == net.config


def test_a_subclass_changes_a_default_and_removes_a_setting():
    wide = Wide(EVENT)
    assert (wide.width, wide.depth) == (32, 1)
    assert "depth" not in wide.config
    assert "depth" not in parameters_of(Wide.__init__)
    assert settings_of(Wide)["width"].help == "Of a wide layer."
    with pytest.raises(UnknownNameError, match="unknown setting of Wide 'depth'"):
        Wide(EVENT, depth=3)
    assert Net(EVENT).width == 8, "the parent keeps its own"


def test_the_keyword_may_differ_from_the_attribute():
    assert Net(EVENT).rate == 0.1
    assert Net(EVENT, rate=0.5).rate == 0.5
    with pytest.raises(UnknownNameError, match="did you mean 'rate'"):
        Net(EVENT, rate_given=0.5)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"width": 2**31}, "width must be at least 1 and at most 2147483647, got 2147483648"),
        ({"noise": 0.0}, r"noise must be above 0, got 0\.0"),
        ({"noise": float("nan")}, "noise must be above 0, got nan"),
        ({"unit": "tanhh"}, "unit must be 'relu' or 'tanh', got 'tanhh'; did you mean 'tanh'"),
        ({"width": "wide"}, "width must be a whole number, got 'wide'"),
        ({"noise": (1.0,)}, r"noise must be a number, got \(1\.0,\)"),
    ],
)
def test_ranges_are_checked_in_one_place(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Net(EVENT, **given)

    class ByHand(Net):
        def __init__(self, event, **settings) -> None:
            super().__init__(event, **settings)

    with pytest.raises(ConfigError, match=sentence):
        ByHand(EVENT, **given)


def test_an_unknown_keyword_is_met_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown setting of Net 'widht'; did you mean"):
        Net(EVENT, widht=3)
    with pytest.raises(TypeError, match="Net: missing a required argument: 'event'"):
        Net()
    with pytest.raises(TypeError, match="Net: too many positional arguments"):
        Net(EVENT, 3)


def test_copies_and_pickles_keep_settings_and_weights():
    net = Net(EVENT, width=4)
    for twin in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.config == net.config
        assert twin.width == 4
        assert torch.equal(twin.layer.weight, net.layer.weight)
    assert copy.deepcopy(net).layer.weight.data_ptr() != net.layer.weight.data_ptr()


def test_the_signature_and_the_help_show_the_settings():
    assert list(inspect.signature(Net).parameters) == list(Net(EVENT).config)
    own = inspect.signature(Net.__init__).parameters
    assert next(iter(own)) == "self"
    assert own["width"].annotation == Count
    assert own["width"].default == 8
    assert "width: Of a layer." in (Net.__doc__ or "")
    assert help_of(Net)["event"] == "A vector."
    assert help_of(Wide)["width"] == "Of a wide layer."
    order = [(Net.__doc__ or "").index(word) for word in ("Args:", "depth: Layers.", "Example:")]
    assert order == sorted(order)
    with pytest.raises(AttributeError):
        _ = Net(EVENT).__signature__


def test_a_constructor_written_out_still_works():
    class Mine(ph.Model):
        def __init__(self, event: Event, *, width: Count = 3) -> None:
            super().__init__(event)
            self.layer = torch.nn.Linear(event.dimensions, width)

    class Widest(Wide):
        def __init__(self, event: Event, *, doubled: int = 3) -> None:
            super().__init__(event, width=2 * doubled)

        def begin(self, at: int) -> int:
            return at

    assert Mine(EVENT).config == {"event": EVENT, "width": 3}
    assert list(inspect.signature(Mine).parameters) == ["event", "width"]
    assert settings_of(Mine) == {}
    with pytest.raises(ConfigError, match="width must be at least 1"):
        Mine(EVENT, width=0)
    assert (Widest(EVENT).width, Widest(EVENT).config) == (6, {"event": EVENT, "doubled": 3})
    assert values_of(Widest(EVENT))["width"] == 6
    with pytest.raises(TypeError, match="Lost declares 'depth', and Mine has an __init__"):

        class Lost(Mine):
            depth: int = setting(default=3, help="Never taken.")

    with pytest.raises(TypeError, match=r"Untyped\.width is declared without its type"):

        class Untyped(Configured):
            width = setting(default=3, help="Of what?")


def test_a_configuration_goes_through_json():
    net = Net(EVENT, width=4, rate=0.5)
    again = Net(**decode(json.loads(json.dumps(encode(net.config)))))
    assert again.config == net.config
    vae = VAE(Event.image(1, 8), hidden=(8,), context=ContextSpec(label=3))
    assert VAE(**decode(json.loads(json.dumps(encode(vae.config))))).config == vae.config


def test_no_setting_has_changed():
    """Names, types and defaults: they are in the files of every run. New systems are free."""
    frozen = json.loads(Path(__file__).with_name("settings.json").read_text())
    now = written.table()
    assert {name: now.get(name) for name in frozen} == frozen


def test_settings_are_declared_once():
    told = written.declarations()
    assert len(told) - len(set(told)) <= written.MOST_REPEATED


@pytest.mark.parametrize(
    "row", [r for r in systems() if r.kind in ("model", "agent")], ids=lambda r: r.name
)
def test_a_type_checker_sees_the_settings_that_there_are(row):
    """In the body of a class that has its constructor made, what is annotated is a setting."""
    for cls in row.load().__mro__:
        if settings_of(cls):
            for name in inspect.get_annotations(cls):
                assert name in cls._own_settings, f"{cls.__name__}.{name} would be an argument"


@pytest.mark.parametrize(
    "row", [r for r in systems() if r.kind in ("model", "agent")], ids=lambda r: r.name
)
def test_every_setting_is_explained_and_nothing_else(row):
    told, parameters = help_of(row.load()), inspect.signature(row.load()).parameters
    assert list(told) == list(parameters)
    silent = [name for name, line in told.items() if not re.fullmatch(r"\S.*\.", line)]
    assert not silent


def test_help_of_the_command_line(capsys):
    assert main(["train", "beta-vae", "--help"]) == 0
    shown = capsys.readouterr().out
    for name, line in (
        ("--model.beta", "Weight of the KL."),
        ("--model.sigma", "deviation or scale"),
    ):
        assert name in shown
        assert line in shown
    assert "--model.particles" not in shown
    assert set(help_of(BetaVAE)) == set(inspect.signature(BetaVAE).parameters)


DECLARED = """
from phosphene.core.config import Configured
from phosphene.core.ranges import Count
from phosphene.core.settings import pinned, setting

class Net(Configured):
    event: str = setting(kw_only=False, help="What it is of.")
    width: Count = setting(default=8, help="Of a layer.")
    rate_given: float | None = setting(alias="rate", default=None, help="Of learning.")

class Fixed(Net):
    width: Count = pinned(default=3)

Net("a", width=3, rate=0.5)
reveal_type(Fixed("a").width)
Net("a", widht=3)
Net("a", width="3")
Net("a", rate_given=0.5)
Fixed("a", width=3)
Net()
"""

OF_SYSTEMS = """
from phosphene.core.event import Event
from phosphene.generative.autoencoder.beta_vae import BetaVAE
from phosphene.generative.autoencoder.vae import VAE

VAE(Event.binary(9), latent_dim=3, decoder="bernoulli", hidden=(8,))
reveal_type(VAE(Event.binary(9)).kl_weight)
VAE(Event.binary(9), laten_dim=3)
VAE(Event.binary(9), latent_dim="3")
VAE(Event.binary(9), decoder="bernouli")
BetaVAE(Event.binary(9), particles=3)
VAE()
"""


def complaints(code, folder, *options):
    """What mypy says of code, by line."""
    (folder / "snippet.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache")]
    done = subprocess.run(
        [*command, *options, str(folder / "snippet.py")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {int(at): say for at, say in re.findall(r"py:(\d+): (?:error|note): (.*)", done.stdout)}


def test_mypy_sees_misspelt_and_ill_typed_settings(tmp_path):
    core = Path(ph.core.config.__file__).parent
    files = [str(core / f"{name}.py") for name in ("config", "settings", "ranges", "errors")]
    said = complaints(DECLARED, tmp_path, "--follow-imports", "skip", *files)
    assert sorted(said) == [15, 16, 17, 18, 19, 20], said
    assert '"int"' in said[15]
    assert 'Unexpected keyword argument "widht"' in said[16]
    assert 'incompatible type "str"; expected "int"' in said[17]
    assert 'Unexpected keyword argument "rate_given"' in said[18]
    assert 'Unexpected keyword argument "width"' in said[19]
    assert 'Missing positional argument "event"' in said[20]


@pytest.mark.slow
def test_mypy_sees_the_settings_of_systems(tmp_path):
    said = complaints(OF_SYSTEMS, tmp_path, "--follow-imports", "silent")
    assert sorted(said) == [7, 8, 9, 10, 11, 12], said
    assert "Tensor" in said[7]
    assert 'Unexpected keyword argument "laten_dim"' in said[8]
    assert 'incompatible type "str"; expected "int"' in said[9]
    assert 'Argument "decoder" to "VAE" has incompatible type' in said[10]
    assert 'Unexpected keyword argument "particles"' in said[11]
    assert 'Missing positional argument "event"' in said[12]
