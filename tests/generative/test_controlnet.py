"""ControlNet: the base at first, to the bit; never changed; and what learns, in which order."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

import phosphene as ph
from phosphene.core.batch import Batch
from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, EventError, RunError
from phosphene.core.event import Event
from phosphene.core.trainable import tensors
from phosphene.data.image_conditions import edges
from phosphene.evaluate.control import f1
from phosphene.generative.composed.controlnet import ControlNet
from phosphene.train.folder import Run

EVENT = Event.image(1, 8, levels=17)
SPEC = ContextSpec(label=10, image=Event.image(1, 8, levels=2))
SYSTEMS = ("ddpm", "score-sde", "flow-matching")
SMALL = {"widths": (8, 8), "embedding": 16}


def shaken(system: str) -> torch.nn.Module:
    """A base none of whose weights is 0."""
    base = ph.build(system, EVENT, context=ContextSpec(label=10), seed=1, **SMALL)
    g = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in base.parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=g))
    return base


def controlled(system: str) -> tuple[ControlNet, torch.nn.Module]:
    base = shaken(system)
    model = ControlNet(EVENT, context=SPEC, base_system=system, base=SMALL)
    model.begin_with(base)
    return model, base


def given(n: int, seed: int = 0) -> tuple[Tensor, Context]:
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(17, (n, 1, 8, 8), generator=g)
    label = torch.randint(10, (n,), generator=g)
    return x, Context(label=label, image=edges(x, 17))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_begins_as_the_base_to_the_bit(system):
    model, base = controlled(system)
    x, context = given(4)
    how = {"steps": 4, "guidance": 1.5}
    a = model.sample_path(4, context, generator=seeded(), **how)
    b = base.sample_path(4, context, generator=seeded(), **how)
    assert torch.equal(a, b)
    noisy, time = torch.randn(4, 1, 8, 8, generator=seeded()), torch.tensor([0.3])
    told = model.given(context, 4)
    inner = base.given(context, 4)
    assert torch.equal(model._whole.network(noisy, time, told), base.network(noisy, time, inner))
    assert torch.equal(
        model.elbo(x, context, generator=seeded()), base.elbo(x, context, generator=seeded())
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_at_the_first_step_only_the_zero_convolutions_have_gradients(system):
    model, _ = controlled(system)
    x, context = given(8)
    (phase,) = model.phases()
    loss = phase.loss(Batch.of(x, context))
    loss.total.backward()
    assert all(p.grad is None for p in model.base.parameters())
    control = model.control
    for p in (*control.encoder.parameters(), *control.hint.parameters()):
        assert p.grad is None or not p.grad.any(), "the copy moves before the zeros let it"
    assert not control.zero_hint.weight.grad.any()
    for zero in control.zeros:
        assert zero.weight.grad.abs().max() > 0
        assert zero.bias.grad.abs().max() > 0
    with torch.no_grad():
        for zero in control.zeros:
            zero.weight.sub_(0.1 * zero.weight.grad)
    model.zero_grad()
    phase.loss(Batch.of(x, context, seed=1)).total.backward()
    assert control.zero_hint.weight.grad.abs().max() > 0
    assert all(p.grad.abs().max() > 0 for p in control.encoder.middle_2.parameters())


def test_the_image_matters_once_the_zeros_have_moved():
    model, _ = controlled("score-sde")
    with torch.no_grad():
        for zero in (*model.control.zeros, model.control.zero_hint):
            zero.weight.add_(0.3)
    _, context = given(4)
    other = Context(label=context.label, image=1 - context.image)
    a, b = (model.sample_path(4, c, steps=3, generator=seeded()) for c in (context, other))
    assert not torch.equal(a, b)


def small(folder: Path, **more: object) -> Run:
    told = {"budget": "10steps", "name": "both", "model": {"base": SMALL}, "threads": 1, **more}
    told.setdefault("precision", "fp32")  # measured anew otherwise, by each stage that begins
    return ph.train("controlnet", data="digits-edges", folder=folder, **told)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return small(tmp_path_factory.mktemp("runs"))


def test_training_never_changes_the_base(run):
    base = Run(run.path / "stages" / "1-base").model
    assert json.loads((run.path / "stages" / "1-base" / "run.json").read_text())["system"] == (
        "score-sde"
    )
    assert base.context.names == ("label",)
    held = tensors(run.model.base)
    assert all(torch.equal(v, held[k]) for k, v in tensors(base).items())
    moved = tensors(run.model.control.encoder)
    copied = tensors(base.network.encoder)
    assert any(not torch.equal(v, copied[k]) for k, v in moved.items())
    assert {row["stage"] for row in run.metrics} == {"base", "control"}


def test_a_run_broken_off_in_its_second_stage_goes_on(run, tmp_path):
    part = small(tmp_path, budget="20steps")
    half = tmp_path / "half"
    (half / "both").mkdir(parents=True)
    import shutil

    shutil.copytree(part.path, half / "both", dirs_exist_ok=True)
    shutil.rmtree(half / "both" / "stages" / "2-control")
    (half / "both" / "model" / "model.safetensors").unlink()
    again = small(half, resume=True, model=None, budget="20steps")
    before = tensors(part.model)
    assert all(torch.equal(v, before[k]) for k, v in tensors(again.model).items())


def test_a_base_of_ones_own(run, tmp_path):
    base = run.path / "stages" / "1-base"
    other = small(tmp_path, first=base, model={})
    assert not (other.path / "stages" / "1-base").exists()
    held = tensors(other.model.base)
    assert all(torch.equal(v, held[k]) for k, v in tensors(Run(base).model).items())


# -- what cannot be ---------------------------------------------------------------------------


def test_a_base_that_is_told_something_else_is_refused(run, tmp_path):
    base = run.path / "stages" / "1-base"
    with pytest.raises(RunError, match="was told label, and as the base of this model it is told"):
        small(tmp_path, first=base, model={}, context="image")
    with pytest.raises(RunError, match="is of image 1x8x8, 17 levels, and"):
        ph.train(
            "controlnet", data="mnist-edges", folder=tmp_path, first=base, budget="2steps",
            threads=1,
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_controlled_is_refused():
    with pytest.raises(EventError, match="an image in its context"):
        ControlNet(EVENT, context=ContextSpec(label=10))
    with pytest.raises(ConfigError, match="must be a U-Net"):
        ControlNet(EVENT, context=SPEC, base={"network": "mlp"})
    with pytest.raises(ConfigError, match="'vae' is no diffusion"):
        ControlNet(EVENT, context=SPEC, base_system="vae")


def test_an_image_of_another_size_is_refused(run):
    wrong = Context(label=torch.zeros(2).long(), image=torch.zeros(2, 1, 9, 8))
    with pytest.raises(EventError, match=r"\(n, 1, 8, 8\), got \(2, 1, 9, 8\)"):
        run.model.sample(2, wrong)


@pytest.mark.slow
def test_samples_obey_the_edges_and_those_of_the_base_do_not(tmp_path):
    run = ph.train("controlnet", folder=tmp_path, name="run", threads=1)
    test = ph.data.load("digits-edges", "test")
    _, context = test.take(torch.arange(200))
    asked = context.image
    obeyed = run.model.sample(200, context, generator=seeded())
    alone = run.model.base.sample(200, context, generator=seeded())
    assert float(f1(asked, edges(obeyed, 17)).mean()) >= 0.8
    assert float(f1(asked, edges(alone, 17)).mean()) <= 0.7
