import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from phosphene.core.batch import Batch
from phosphene.core.errors import EventError, RunError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase
from phosphene.core.trainable import load_tensors, tensors
from phosphene.train.building import build


class Line(Model):
    """Two linear layers that share one weight."""

    def __init__(self, event: Event, *, width: int = 3) -> None:
        super().__init__(event)
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, width)
        self.b.weight = self.a.weight
        self.register_buffer("seen", torch.zeros(()))

    def loss(self, batch: Batch) -> Loss:
        return Loss(self.b(self.a(batch.x)).square().mean())


def line(width: int = 3) -> Line:
    return Line(Event.real(width), width=width)


def test_one_phase_over_all_parameters_by_default() -> None:
    model = line()
    (phase,) = model.phases()
    assert {id(p) for p in phase.parameters} == {id(p) for p in model.parameters()}
    assert len(list(phase.parameters)) == 3, "a tied weight is one parameter"
    assert phase.loss is not None


def test_tied_parameters_are_saved_once_and_load_into_both(tmp_path: Path) -> None:
    model, other = line(), line()
    model.save(tmp_path, "line")
    state = load_file(tmp_path / "model.safetensors")
    assert set(state) == {"a.weight", "a.bias", "b.bias", "seen"}
    load_tensors(other, state, "model.safetensors")
    assert torch.equal(other.b.weight, model.a.weight)
    assert other.b.weight is other.a.weight


def test_the_configuration_is_written_beside_the_weights(tmp_path: Path) -> None:
    line().save(tmp_path / "new", "line")
    written = json.loads((tmp_path / "new" / "config.json").read_text())
    assert written["schema"] == 1
    assert written["system"] == "line"
    assert written["config"]["width"] == 3
    assert written["config"]["event"]["type"] == "Event"


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_another_architecture_is_refused_and_nothing_is_loaded(change: str) -> None:
    model = line()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = {k: v + 1 for k, v in tensors(line()).items()}
    if change == "missing":
        del state["seen"]
    elif change == "extra":
        state["stranger"] = torch.zeros(1)
    else:
        state = {k: v + 1 for k, v in tensors(line(4)).items()}
    with pytest.raises(RunError, match="another architecture") as caught:
        load_tensors(model, state, "here.safetensors")
    assert "here.safetensors" in str(caught.value)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_refusal_names_model_and_event() -> None:
    with pytest.raises(EventError, match="Line cannot model real 3: it is a line"):
        line().refuse("it is a line")


def test_device_and_type() -> None:
    assert line().device == torch.device("cpu")
    assert line().double().dtype == torch.float64


def test_a_phase_has_a_loss_or_an_update() -> None:
    with pytest.raises(AssertionError, match="a loss or an update"):
        Phase("x", [])
    with pytest.raises(AssertionError, match="every"):
        Phase("x", [], line().loss, every=0)


def test_building_is_a_function_of_the_seed() -> None:
    before = torch.get_rng_state()
    one, same, other = (
        build("vae", Event.binary(9), seed=s, latent_dim=2, hidden=(4,)) for s in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    state, again, another = one.state_dict(), same.state_dict(), other.state_dict()
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert any(not torch.equal(state[name], another[name]) for name in state)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("vaee", {}, "did you mean 'vae'"),
        ("vae", {"latent": 2}, "did you mean 'latent_dim'"),
        ("vae", {"latent_dim": 0}, "latent_dim"),
    ],
)
def test_building_refuses_in_one_sentence(name: str, settings: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        build(name, Event.binary(9), **settings)
    assert "\n" not in str(caught.value)
