"""Latent diffusion: latents of any shape, stages that resume, filling in by blocks, refusals."""

from pathlib import Path

import pytest
import torch

import phosphene as ph
from phosphene.core.context import ContextSpec
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.event import Event
from phosphene.core.progress import StepEnd
from phosphene.core.trainable import tensors
from phosphene.generative.composed.latent_diffusion import LatentDiffusion
from phosphene.train.folder import Run

EVENT = Event.image(1, 8, levels=17)
DENOISER = {"widths": (8,), "embedding": 16}
SMALL = {"autoencoder": {"code_dim": 3, "hidden": 8}, "denoiser": DENOISER}
OTHERS = {
    "kl-autoencoder": ({"code_dim": 3, "hidden": 8}, (3, 2, 2)),
    "vq-vae": ({"codes": 8, "code_dim": 4, "hidden": 8, "downsample": 2}, (4, 4, 4)),
    "vae": ({"latent_dim": 5, "hidden": (16,)}, (5,)),
    "autoencoder": ({"latent_dim": 4, "hidden": (16,)}, (4,)),
}


def built(system: str = "kl-autoencoder", **more: object) -> LatentDiffusion:
    settings, _ = OTHERS[system]
    return LatentDiffusion(
        EVENT, autoencoder_system=system, autoencoder=settings, denoiser={"widths": (8,)}, **more
    )  # type: ignore[arg-type]


def codes(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(17, (n, 1, 8, 8), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("system", OTHERS)
def test_latents_are_a_vector_or_an_image_of_channels(system):
    model = built(system).eval()
    assert model.latent_event == Event.real(*OTHERS[system][1])
    x = codes(5)
    with torch.no_grad():
        z = model.latents(x)
        assert z.shape == (5, *OTHERS[system][1])
        torch.testing.assert_close(model._means(z), model.reconstruct(x))
    for drawn in (
        model.sample(3, steps=2),
        model.refine(x, 0.5, steps=2),
        model.sample(3, steps=2, sampler="euler"),
    ):
        model.event.check(drawn)
        assert drawn.dtype == torch.uint8
    assert model.sample_path(2, frames=3, steps=3).shape == (3, 2, 1, 8, 8)
    assert model.interpolate(x[:2], x[2:4], 4, steps=4).shape == (2, 4, 1, 8, 8)


def test_only_what_lies_on_a_grid_is_filled_in():
    assert hasattr(built(), "inpaint")
    assert not hasattr(built("vae"), "inpaint")


def test_filling_in_keeps_what_is_known_and_blocks_that_are_whole():
    model, x = built(), codes(4)
    mask = torch.ones(1, 8, 8, dtype=torch.bool)
    mask[:, :, 5:] = False  # cuts through the right column of blocks of 4
    blocks = model._blocks(mask.expand_as(x))
    assert blocks[0, 0].tolist() == [[True, False], [True, False]]
    drawn = model.inpaint(x, mask, steps=5, generator=torch.Generator().manual_seed(0))
    kept = mask.expand_as(x)
    assert torch.equal(drawn[kept].long(), x[kept])
    with pytest.raises(ConfigError, match="keeps every value"):
        model.inpaint(x, torch.ones(1, 8, 8, dtype=torch.bool))


def test_missing_pixels_are_not_seen_through_the_encoders_wide_look():
    model, x = built(), codes(4)
    mask = torch.ones(1, 8, 8, dtype=torch.bool)
    mask[:, :, 4:] = False
    other = torch.where(mask, x, codes(4, seed=1))
    one, two = (
        model.inpaint(v, mask, steps=2, generator=torch.Generator().manual_seed(0))
        for v in (x, other)
    )
    assert torch.equal(one, two)
    assert not torch.equal(model.latents(x), model.latents(other))


def train(folder: Path, **more: object) -> Run:
    told = {"budget": "16steps", "name": "both", "model": SMALL, "threads": 1, **more}
    told.setdefault("precision", "fp32")  # measured anew otherwise, by each stage that begins
    return ph.train("latent-diffusion", data="digits", folder=folder, **told)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tmp_path_factory.mktemp("runs"), context="label")


def test_the_denoiser_is_trained_on_cached_latents_and_told_the_label(run):
    assert {row["stage"] for row in run.metrics} == {"autoencoder", "denoiser"}
    assert (run.path / "stages" / "denoiser-train.npz").is_file()
    second = Run(run.path / "stages" / "2-denoiser")
    assert second.model.context == ContextSpec(label=10)
    assert second.model.event == Event.real(3, 2, 2)
    assert not Run(run.path / "stages" / "1-autoencoder").model.context


def test_latents_reach_the_network_with_mean_0_and_variance_1(run):
    model, x = run.model, ph.data.load("digits", "train").x
    with torch.no_grad():
        y, _ = model.denoiser.encoded(model.latents(x))
    per_channel = y.transpose(0, 1).flatten(1)
    assert per_channel.mean(1).abs().max() < 0.25
    assert ((per_channel.std(1) > 0.75) & (per_channel.std(1) < 1.35)).all()


@pytest.mark.parametrize("broken", ["1-autoencoder", "2-denoiser"])
def test_a_run_killed_in_any_stage_goes_on_to_the_same_bits(run, broken, tmp_path):
    """Broken off without a word in the middle of a stage, and resumed."""

    def kill(event: object) -> None:
        if isinstance(event, StepEnd) and event.step >= 4 and broken == _at_work(tmp_path):
            raise KeyError("killed")

    with pytest.raises(KeyError, match="killed"):
        train(tmp_path, context="label", log_every=1, listeners=[kill])
    assert _at_work(tmp_path) == broken
    assert not (tmp_path / "both" / "model" / "model.safetensors").exists()
    again = train(tmp_path, resume=True, model=None)
    before = tensors(run.model)
    assert all(torch.equal(v, before[k]) for k, v in tensors(again.model).items())


def _at_work(folder: Path) -> str:
    """The stage that is at work: the last that has begun."""
    stages = [p for p in (folder / "both" / "stages").iterdir() if p.is_dir()]
    return sorted(p.name for p in stages)[-1]


def test_an_autoencoder_of_ones_own(run, tmp_path):
    own = ph.train(
        "vae", data="digits", budget="5steps", threads=1, name="own", folder=tmp_path,
        model={"latent_dim": 4, "hidden": (8,)},
    )  # fmt: skip
    other = train(tmp_path, first=own.path, model={"denoiser": {"widths": (8,)}})
    assert other.model.latent_event == Event.real(4)
    held = tensors(other.model.autoencoder)
    assert all(torch.equal(v, held[k]) for k, v in tensors(own.model).items())


# -- what cannot be ---------------------------------------------------------------------------


def test_an_autoencoder_of_another_event_or_context_is_refused(run, tmp_path):
    first = run.path / "stages" / "1-autoencoder"
    with pytest.raises(RunError, match="is of image 1x8x8, 17 levels, and 'digits-binary' holds"):
        ph.train(
            "latent-diffusion", data="digits-binary", first=first, folder=tmp_path, threads=1,
            model={"denoiser": DENOISER},
        )  # fmt: skip
    told = ph.train(
        "vae", data="digits", budget="2steps", threads=1, folder=tmp_path / "own", name="told",
        context="label", model={"latent_dim": 2, "hidden": (8,)},
    )  # fmt: skip
    with pytest.raises(RunError, match="was told label, and as the autoencoder of this model"):
        train(tmp_path, first=told.path, model={"denoiser": {"widths": (8,)}})
    assert [p.name for p in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"autoencoder_system": "nice"}, "does not encode and decode"),
        ({"denoiser_system": "vae"}, "'vae' is no diffusion"),
        ({"denoiser_system": "elbo-decomposition"}, "is a proof, not a model"),
    ],
)
def test_parts_that_cannot_be_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        LatentDiffusion(EVENT, **settings)


def test_guidance_needs_a_condition():
    with pytest.raises(ConfigError, match="guidance is toward a condition"):
        built().sample(2, guidance=1.0)
