"""Images drawn from the user's own, ways of samples, moving pictures: on a model known by hand."""

from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from phosphene.core.context import Context, ContextSpec
from phosphene.core.errors import ConfigError, DataError, EventError, PhospheneError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.evaluate.animation import animated
from phosphene.subjects.dataset.handling import Datasets
from phosphene.subjects.handling import taken
from phosphene.subjects.results import Sampled
from phosphene.train.folder import Run

GRAY = Event.image(1, (4, 6), levels=256)
COLOR = Event.image(3, (4, 6))
POINTS = Event.real(2)


class Fades(Model):
    """Samples are brighter by 6 a state; what is refined moves by 100 times the strength."""

    def __init__(self, event: Event = GRAY, context: ContextSpec | None = None) -> None:
        super().__init__(event, context=context)
        self.asked: list[Context | None] = []

    def sample(
        self,
        n: int,
        context: Context | None = None,
        *,
        generator: Any = None,
        steps: int | None = None,
        sampler: Literal["auto", "ddim"] = "auto",
        guidance: float = 0.0,
    ) -> Tensor:
        self.asked.append(context)
        return torch.full((n, *self.event.shape), steps or 1).to(torch.uint8)

    def sample_path(
        self,
        n: int,
        context: Context | None = None,
        *,
        frames: int = 8,
        generator: Any = None,
        steps: int | None = None,
    ) -> Tensor:
        self.asked.append(context)
        states = torch.arange(frames, dtype=torch.float32)
        return (
            (6 * states).view(-1, 1, *[1] * len(self.event.shape)).expand(-1, n, *self.event.shape)
        )

    def refine(
        self,
        x: Tensor,
        strength: float,
        context: Context | None = None,
        *,
        generator: Any = None,
        steps: int | None = None,
    ) -> Tensor:
        self.asked.append(context)
        return (x + 100 * strength).clamp(0, 255).to(torch.uint8)

    def inpaint(
        self,
        x: Tensor,
        mask: Tensor,
        context: Context | None = None,
        *,
        generator: Any = None,
        resample: int = 1,
    ) -> Tensor:
        self.asked.append(context)
        return torch.where(mask, x, torch.full_like(x, 7 * resample))


def run_of(model: Model, folder: Path) -> Run:
    about = SimpleNamespace(path=folder, model=model, config={}, place=lambda name: folder / name)
    return cast(Run, about)


def drawn(model: Model, out: Path, sampler: dict[str, Any] | None = None, **said: Any) -> Sampled:
    """What the command does, told the options."""
    told = taken(Datasets(), "sample", said)
    told.pop("data")
    run = run_of(model, out.parent)
    return Datasets().sample(run, seed=0, out=out, sampler=sampler or {}, **told)


def arrays(model: Model, folder: Path, sampler: dict[str, Any] | None = None, **said: Any) -> Any:
    found = drawn(model, folder / "x.npz", sampler, **said)
    assert found.paths == [folder / "x.npz"]
    with np.load(folder / "x.npz") as held:
        return dict(held)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(values).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """White in the left half."""
    values = np.zeros((4, 6), np.uint8)
    values[:, :3] = 255
    Image.fromarray(values).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


# -- from images ------------------------------------------------------------------------------


def test_others_like_a_photo_are_as_far_as_the_strength(photo, tmp_path):
    values = np.asarray(Image.open(photo))
    held = arrays(Fades(), tmp_path, from_image=photo, strength=0.5, number=3)
    assert held["x"].shape == (3, 1, 4, 6)
    assert (held["x"] == values + 50).all()
    assert (held["image"] == values).all()
    assert (arrays(Fades(), tmp_path, from_image=photo)["x"] == values + 60).all()


def test_white_is_filled_in_and_black_is_kept(photo, mask, tmp_path):
    values = np.asarray(Image.open(photo))
    held = arrays(Fades(), tmp_path, {"resample": 2}, from_image=photo, mask=mask, number=2)
    assert (held["x"][..., 3:] == values[:, 3:]).all()
    assert (held["x"][..., :3] == 14).all()
    assert (held["image"][..., 3:] == values[:, 3:]).all()
    assert (held["image"][..., :3] == 128).all(), "what the model is not told is not shown"


def test_a_mask_holds_for_every_channel(mask, tmp_path):
    Image.new("RGB", (6, 4), (9, 99, 199)).save(tmp_path / "color.png")
    held = arrays(Fades(COLOR), tmp_path, from_image=tmp_path / "color.png", mask=mask)
    assert (held["x"][:, :, :, :3] == 7).all()
    assert (held["x"][0, :, 0, 5] == (9, 99, 199)).all()


def test_a_folder_of_photos_and_the_label_of_each(photo, tmp_path):
    (tmp_path / "many").mkdir()
    for k in range(3):
        Image.new("L", (6, 4), 10 * k).save(tmp_path / "many" / f"{k}.png")
    model = Fades(context=ContextSpec(label=5))
    held = arrays(model, tmp_path, from_image=tmp_path / "many", number=2, label=4, strength=0.1)
    assert held["x"][:, 0, 0, 0].tolist() == [10, 10, 20, 20, 30, 30]
    assert model.asked[0] is not None
    assert model.asked[0].label is not None
    assert model.asked[0].label.tolist() == [4] * 6


def test_a_model_with_a_condition_is_given_it_beside_the_photo(photo, mask, tmp_path):
    model = Fades(context=ContextSpec(image=Event.image(1, (4, 6), 2)))
    arrays(model, tmp_path, from_image=photo, control=mask, number=2)
    told = model.asked[0]
    assert told is not None
    assert told.image is not None
    assert told.image.shape == (2, 1, 4, 6)
    assert told.image[:, :, :, :3].all()
    assert not told.image[:, :, :, 3:].any()


def test_control_is_another_name_of_image(mask, tmp_path):
    model = Fades(context=ContextSpec(image=Event.image(1, (4, 6), 2)))
    a = arrays(model, tmp_path, control=mask, number=2)
    b = arrays(model, tmp_path, image=mask, number=2)
    assert np.array_equal(a["image"], b["image"])
    assert len(a["x"]) == len(b["x"]) == 2


def test_settings_of_the_sampler_reach_what_draws(tmp_path):
    assert (arrays(Fades(), tmp_path, {"steps": 33}, number=1)["x"] == 33).all()


# -- ways and moving pictures -----------------------------------------------------------------


def test_a_way_is_a_row_from_noise_to_the_sample(tmp_path):
    found = drawn(Fades(), tmp_path / "way.png", path=True, number=3)
    assert found.shape == (30, 1, 4, 6)
    picture = np.asarray(Image.open(found.paths[0]).convert("L"))
    middle = picture[picture.shape[0] // 2]
    shades = [int(v) for v in dict.fromkeys(middle.tolist()) if v != 140]
    assert shades == [6 * k for k in range(10)]


@pytest.mark.parametrize("ending", [".gif", ".png"])
@pytest.mark.parametrize("event", [GRAY, POINTS])
def test_a_moving_picture_has_every_state(ending, event, tmp_path):
    found = drawn(Fades(event), tmp_path / f"moves{ending}", animate=True, number=4)
    with Image.open(found.paths[0]) as picture:
        assert picture.n_frames == 40
        assert picture.info["loop"] == 0
        assert picture.info["duration"] == 80
    assert found.shape == (160, *event.shape)


def test_frames_keep_their_shades():
    frames = [Image.new("RGB", (8, 8), (v, 0, 255 - v)) for v in (0, 60, 120, 255)]
    for ending in (".gif", ".png"):
        with Image.open(BytesIO(animated(frames, ending))) as picture:
            for k, frame in enumerate(frames):
                picture.seek(k)
                assert picture.convert("RGB").getpixel((3, 3)) == frame.getpixel((3, 3))
    with pytest.raises(ConfigError, match=r"'\.jpg'"):
        animated(frames, ".jpg")


# -- what cannot be -----------------------------------------------------------------------------


def flat(folder: Path, value: int, size: tuple[int, int] = (6, 4)) -> Path:
    Image.new("L", size, value).save(folder / "flat.png")
    return folder / "flat.png"


def test_a_mask_must_leave_something_to_fill_and_something_to_keep(photo, tmp_path):
    for value, words in ((255, "white everywhere"), (0, "black everywhere")):
        with pytest.raises(ConfigError, match=words) as error:
            arrays(Fades(), tmp_path, from_image=photo, mask=flat(tmp_path, value))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"mask": "PHOTO"}, "--from-image"),
        ({"strength": 0.5}, "--from-image"),
        ({"from_image": "PHOTO", "mask": "MASK", "strength": 0.5}, "--strength"),
        ({"from_image": "PHOTO", "strength": 0.0}, "above 0"),
        ({"from_image": "PHOTO", "strength": 1.5}, "at most 1"),
        ({"from_image": "PHOTO", "interpolate": True}, "two things"),
        ({"from_image": "PHOTO", "path": True}, "two things"),
        ({"path": True, "animate": True}, "two things"),
        ({"image": "PHOTO", "control": "PHOTO"}, "two things"),
        ({"control": "PHOTO"}, "not conditioned on an image"),
        ({"from_image": "PHOTO", "control": "PHOTO"}, "not conditioned on an image"),
        ({"from_image": "nothing.png"}, "nothing.png"),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(said, words, photo, mask, tmp_path):
    places = {"PHOTO": photo, "MASK": mask}
    told = {k: places.get(v, v) if isinstance(v, str) else v for k, v in said.items()}
    with pytest.raises(PhospheneError, match=words) as error:
        arrays(Fades(), tmp_path, **told)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.npz").exists()


def test_images_of_another_size_or_color_are_refused_by_what_they_are_for(photo, tmp_path):
    wide = flat(tmp_path, 90, (9, 4))
    for said, words in (
        ({"from_image": wide}, "4x9 pixels .height first., and the model makes images of 4x6"),
        ({"from_image": photo, "mask": wide}, "and the mask is for images of 4x6"),
    ):
        with pytest.raises(DataError, match=words):
            arrays(Fades(), tmp_path, **said)
    Image.new("RGB", (6, 4), (9, 99, 199)).save(tmp_path / "color.png")
    with pytest.raises(DataError, match="in color, and the model makes gray images"):
        arrays(Fades(), tmp_path, from_image=tmp_path / "color.png")


def test_a_model_that_needs_a_condition_says_so(photo, tmp_path):
    model = Fades(context=ContextSpec(image=Event.image(1, (4, 6), 2)))
    with pytest.raises(ConfigError, match="--control"):
        arrays(model, tmp_path, from_image=photo)


def test_settings_that_mean_nothing_are_refused(photo, tmp_path):
    with pytest.raises(ConfigError, match="takes no guidance to draw from an image"):
        arrays(Fades(), tmp_path, {"guidance": 2.0}, from_image=photo)
    with pytest.raises(ConfigError, match="takes no temperature to show the way"):
        arrays(Fades(), tmp_path, path=True, temperature=0.5)
    with pytest.raises(ConfigError, match="--steps means nothing"):
        arrays(Fades(), tmp_path, {"steps": 3}, traverse=True)


def test_models_that_cannot_are_refused(photo, tmp_path):
    class Still(Model):
        def sample(self, n: int, context: Any = None, *, generator: Any = None) -> Tensor:
            return torch.zeros(n, *self.event.shape)

    for said in ({"from_image": photo}, {"path": True}, {"animate": True}):
        with pytest.raises(EventError, match="Still"):
            arrays(Still(GRAY), tmp_path, **said)
    with pytest.raises(ConfigError, match="a row shows images"):
        arrays(Fades(POINTS), tmp_path, path=True)
