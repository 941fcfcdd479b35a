"""``phosphene sample`` of diffusion models, and what may go wrong, from the command line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import phosphene as ph
from phosphene.train.folder import Run

SMALL = {"widths": (8,), "embedding": 8, "threads": 1, "budget": "2steps"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("diffusion")


@pytest.fixture(scope="module")
def told(folder) -> Run:
    """A chain of 30 steps, told the label; read only."""
    return ph.train(
        "ddpm", data="digits", context="label", model={"steps": 30, "guidance": 0.0}, name="told",
        folder=folder, **SMALL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def untold(folder) -> Run:
    model = {"steps": 30, "guidance": 0.0}
    return ph.train(
        "ddpm", data="digits", context="none", model=model, name="untold", folder=folder, **SMALL
    )


@pytest.fixture(scope="module")
def controlled(folder) -> Run:
    base = {"widths": (8,), "embedding": 8}
    return ph.train(
        "controlnet", data="digits-edges", model={"base": base}, name="controlled",
        folder=folder, threads=1, budget="4steps",
    )  # fmt: skip


@pytest.fixture
def photo(here) -> Path:
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save("photo.png")
    return here / "photo.png"


def test_the_settings_of_the_sampler_are_options(phosphene, told, here):
    command = (
        "sample", told.path, "--steps", "5", "--guidance", "3", "--sampler", "dpm++",
        "--label", "7", "-n", "4", "--out", "a.npz",
    )  # fmt: skip
    done = phosphene(*command)
    assert done.code == 0, done.err
    assert np.load("a.npz")["y"].tolist() == [7] * 4
    help = phosphene("sample", told.path, "--help").out
    for option in ("--steps", "--guidance", "--sampler", "--resample", "--from-image", "--mask"):
        assert option in help


def test_images_ways_and_moving_pictures_are_written(phosphene, told, photo, here):
    white = np.zeros((8, 8), np.uint8)
    white[:4] = 255
    Image.fromarray(white).save("mask.png")
    for options, out in (
        (("--from-image", photo, "--strength", "0.4", "--steps", "10"), "like.png"),
        (("--from-image", photo, "--mask", "mask.png", "--resample", "1"), "filled.png"),
        (("--path", "--steps", "6", "-n", "2"), "way.png"),
        (("--animate", "--steps", "6", "-n", "4"), "moves.gif"),
        (("--interpolate", "--steps", "5", "-n", "2"), "between.png"),
    ):
        done = phosphene("sample", told.path, *options, "--out", out)
        assert done.code == 0, done.err
    for name in ("like.png", "filled.png", "way.png", "moves.gif", "between.png"):
        assert (here / name).stat().st_size > 100


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--guidance", "2"), "guidance is toward a condition, and the model has none"),
        (("--steps", "31"), "from 1 to the chain's 30, got 31"),
        (("--steps", "0"), "steps must be at least 1, got 0"),
        (("--sampler", "dpm"), "--sampler cannot be 'dpm'"),
        (("--eta", "1"), "eta is a setting of the sampler 'ddim'"),
        (("--control", "photo.png"), "is not conditioned on an image"),
        (("--mask", "photo.png"), "name it by --from-image"),
    ],
)
def test_what_a_model_cannot_be_asked_is_one_sentence(phosphene, untold, photo, options, words):
    done = phosphene("sample", untold.path, *options)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert "Traceback" not in done.err


def test_a_control_image_of_another_size_is_one_sentence(phosphene, controlled, here):
    Image.new("L", (9, 8)).save("wide.png")
    done = phosphene("sample", controlled.path, "--control", "wide.png")
    assert done.code == 2
    assert "is 8x9 pixels (height first), and the model is conditioned on images of 8x8" in done.err


def test_a_control_image_is_obeyed_or_shown(phosphene, controlled, here):
    edge = np.zeros((8, 8), np.uint8)
    edge[2:6, 3] = 255
    Image.fromarray(edge).save("edge.png")
    done = phosphene("sample", controlled.path, "--control", "edge.png", "-n", "3", "--npz")
    assert done.code == 0, done.err
    held = np.load(controlled.path / "samples" / "samples.npz")
    assert held["x"].shape == (3, 1, 8, 8)
    assert (held["image"] == (edge > 0)).all()


def test_an_autoencoder_of_another_event_is_one_sentence(phosphene, folder, controlled, here):
    ph.train("vae", data="digits", name="own", folder=folder, budget="2steps", threads=1)
    command = ("train", "latent-diffusion", "--data", "digits-binary", "--budget", "2steps")
    done = phosphene(*command, "--from", folder / "own")
    assert done.code == 2
    assert "is of image 1x8x8, 17 levels, and 'digits-binary' holds image 1x8x8, 2" in done.err
    assert not (here / "runs").exists() or not list((here / "runs").iterdir())
