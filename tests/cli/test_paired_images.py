"""Images that condition images, from the user's own files to a report, and what may go wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.core.errors import ConfigError, DataError
from phosphene.data.condition_images import read_conditions
from phosphene.subjects.dataset.drawing import sample
from phosphene.train.folder import Run

SMALL = {"levels": 1, "steps": 1, "hidden": 8, "batch_size": 8, "threads": 1, "budget": "3steps"}
COLOR = ph.Event.image(3, 8)
GRAY = ph.Event.image(1, 8, levels=4)


def colors(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Colored squares (n, 8, 8, 3) on black, and where they are (n, 8, 8)."""
    random = np.random.RandomState(0)
    x, where = np.zeros((n, 8, 8, 3), np.uint8), np.zeros((n, 8, 8), np.uint8)
    for i, (row, column) in enumerate(random.randint(0, 5, (n, 2))):
        where[i, row : row + 3, column : column + 3] = 255
        x[i] = (where[i, ..., None] > 0) * random.randint(80, 255, 3)
    return x + random.randint(0, 9, x.shape).astype(np.uint8), where


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder of pairs: colored squares and where they are."""
    root = tmp_path_factory.mktemp("pairs") / "squares"
    for name in ("images", "conditions"):
        (root / name).mkdir(parents=True)
    for i, (x, where) in enumerate(zip(*colors(), strict=True)):
        Image.fromarray(x).save(root / "images" / f"{i:02d}.png")
        Image.fromarray(where).save(root / "conditions" / f"{i:02d}.bmp")
    return root


@pytest.fixture(scope="module")
def run(folder) -> Run:
    """A C-Flow of the squares given where they are; read only."""
    data = f"folder:{folder}?size=8&condition_levels=4"
    return ph.train("c-flow", data=data, name="squares", folder=folder.parent / "runs", **SMALL)


@pytest.fixture
def given(tmp_path) -> Path:
    """A condition of the user's own."""
    values = np.zeros((8, 8), np.uint8)
    values[2:5, 2:5] = 255
    Image.fromarray(values).save(tmp_path / "mine.png")
    return tmp_path / "mine.png"


# -- data -------------------------------------------------------------------------------------


def test_a_folder_of_pairs_keeps_what_belongs_together(folder):
    x, where = colors()
    seen = []
    for split in ("train", "validation", "test"):
        part = ph.data.load(f"folder:{folder}?size=8", split)
        assert (part.event, part.image_event) == (COLOR, ph.Event.image(1, 8))
        assert part.classes == ()
        for one, image in zip(part.x.numpy(), part.image.numpy(), strict=True):
            k = int((x == one.transpose(1, 2, 0)).all((1, 2, 3)).argmax())
            assert np.array_equal(image[0], where[k])
            seen.append(k)
    assert sorted(seen) == list(range(60))


def test_conditions_have_their_own_size_channels_and_levels(folder):
    options = "size=8&condition_size=4&condition_channels=3&condition_levels=2"
    part = ph.data.load(f"folder:{folder}?{options}", "test")
    assert (part.event, part.image_event) == (COLOR, ph.Event.image(3, 4, levels=2))
    part.image_event.check(part.image)


def test_what_has_no_partner_is_left_out_and_named(folder, tmp_path):
    root = shutil.copytree(folder, tmp_path / "copy")
    (root / "conditions" / "03.bmp").unlink()
    (root / "images" / "04.png").unlink()
    (root / "images" / "05.png").write_bytes(b"broken")
    parts = [ph.data.load(f"folder:{root}?size=8", s) for s in ("train", "validation", "test")]
    assert sum(map(len, parts)) == 57
    assert all(len(p.x) == len(p.image) for p in parts)
    assert "2 files that have no pair: images/03.png, conditions/04.bmp" in parts[0].notes[0]
    assert any("images/05.png (not an image)" in note for p in parts for note in p.notes)


def test_splits_and_classes_of_pairs(folder, tmp_path):
    for part, numbers in {"train": range(20), "test": range(20, 26)}.items():
        for i in numbers:
            for name, ending in (("images", "png"), ("conditions", "bmp")):
                place = tmp_path / part / name / ("odd" if i % 2 else "even")
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / name / f"{i:02d}.{ending}", place)
    train, test = (ph.data.load(f"folder:{tmp_path}?size=8", s) for s in ("train", "test"))
    assert train.classes == test.classes == ("even", "odd")
    assert test.y.tolist() == [0, 0, 0, 1, 1, 1]
    assert train.context == ph.ContextSpec(label=2, image=ph.Event.image(1, 8))


def test_folders_that_hold_no_pairs_are_refused(folder, tmp_path):
    for name, source in (("images", "images/00.png"), ("conditions", "conditions/01.bmp")):
        (tmp_path / "alone" / name).mkdir(parents=True)
        shutil.copy(folder / source, tmp_path / "alone" / name)
    with pytest.raises(DataError, match="1 images and 1 conditions, none of the same name"):
        ph.data.load(f"folder:{tmp_path / 'alone'}")
    (tmp_path / "parts" / "train").mkdir(parents=True)
    shutil.copytree(folder, tmp_path / "parts" / "train", dirs_exist_ok=True)
    (tmp_path / "parts" / "test").mkdir()
    with pytest.raises(DataError, match=r"test' must hold images/ and conditions/"):
        ph.data.load(f"folder:{tmp_path / 'parts'}")
    with pytest.raises(ConfigError, match="options of conditions mean nothing"):
        ph.data.load(f"folder:{folder / 'images'}?condition_size=4")


def test_an_npz_of_pairs(tmp_path):
    x, where = colors(20)
    x, codes = x.transpose(0, 3, 1, 2), (where // 85)[:, None]
    np.savez(tmp_path / "a.npz", x=x, image=codes)
    test = ph.data.load(f"npz:{tmp_path / 'a.npz'}?image_levels=4", "test")
    assert (test.event, test.image_event) == (COLOR, GRAY)
    at = [int((x == one).all((1, 2, 3)).argmax()) for one in test.x.numpy()]
    assert np.array_equal(test.image.numpy(), codes[at])
    np.savez(tmp_path / "b.npz", x_train=x, image_train=codes, x_test=x[:3], image_test=codes[:3])
    assert len(ph.data.load(f"npz:{tmp_path / 'b.npz'}", "test").image) == 3


@pytest.mark.parametrize(
    ("image", "options", "says"),
    [
        (np.zeros((9, 8, 8), np.uint8), "", "shape (9, 8, 8) in image"),
        (np.zeros((10, 8), np.uint8), "", "shape (10, 8) in image"),
        (np.zeros((10, 8, 8), np.float32), "", "image of type float32; save uint8 codes"),
        (np.full((10, 8, 8), 9, np.uint8), "?image_levels=4", "codes outside 0..3 in image"),
    ],
)
def test_an_npz_whose_images_do_not_fit(tmp_path, image, options, says):
    np.savez(tmp_path / "a.npz", x=np.zeros((10, 1, 8, 8), np.uint8), image=image)
    with pytest.raises(DataError) as caught:
        ph.data.load(f"npz:{tmp_path / 'a.npz'}{options}")
    assert says in str(caught.value)


def test_data_shows_the_condition(phosphene, folder, here):
    name = f"folder:{folder}?size=8&condition_levels=4"
    assert phosphene("data", name, "--json").json["condition"] == "image 1x8x8, 4 levels"
    assert "condition" in phosphene("data", name).out
    assert "condition" not in phosphene("data", "bars3").out
    assert phosphene("data", name, "--out", "pairs.png").code == 0
    width, height = Image.open("pairs.png").size
    assert width > height / 2


# -- samples ----------------------------------------------------------------------------------


def test_without_an_image_those_of_the_test_split_condition(phosphene, run, here):
    done = phosphene("sample", run.path, "-n", "10", "--out", "s.png", "--npz", "--json")
    assert done.code == 0, done.err
    assert done.json["shape"] == [10, 3, 8, 8]
    found = np.load("s.npz")
    test = ph.data.load(run.config["data"], "test")
    # About as many images as samples of each.
    expected = test.image[torch.arange(4)].repeat_interleave(3, 0)[:10]
    assert np.array_equal(found["image"], expected.numpy())
    again = ph.data.load("npz:s.npz?image_levels=4")
    assert again.image_event == run.model.context.image
    done = phosphene("sample", run.path, "-n", "200", "--out", "many.png")
    assert done.code == 0, done.err  # more rows than there are test examples


def test_an_image_of_ones_own_conditions(phosphene, run, given, here):
    done = phosphene("sample", run.path, "--image", given, "-n", "3", "--npz", "--out", "s.png")
    assert done.code == 0, done.err
    found = np.load("s.npz")
    assert found["x"].shape == (3, 3, 8, 8)
    assert (found["image"] == 3 * (np.asarray(Image.open(given)) > 0)).all()
    # The image matters, and so does nothing else.
    event = run.model.context.image
    same = sample(run, 3, image=read_conditions(given, event))
    assert np.array_equal(same.x.numpy(), found["x"])
    other = sample(run, 3, image=torch.zeros(1, *event.shape))
    assert not torch.equal(other.x, same.x)


def test_a_folder_of_images_gives_a_row_for_each(phosphene, run, folder, here):
    mine = Path("mine")
    mine.mkdir()
    for i in range(3):
        shutil.copy(folder / "conditions" / f"{i:02d}.bmp", mine)
    (mine / "notes.txt").write_text("not looked at")
    done = phosphene("sample", run.path, "--image", mine, "-n", "2", "--json", "--out", "s.png")
    assert done.json["shape"] == [6, 3, 8, 8]
    one = phosphene("sample", run.path, "--image", given_of(mine), "-n", "20", "--out", "t.png")
    assert one.code == 0
    rows = [Image.open(name).size for name in ("s.png", "t.png")]
    assert rows[0][1] > rows[0][0] - 90  # three rows of the condition and two samples
    assert rows[1][1] > 4 * 84  # twenty samples do not fit beside the condition


def given_of(folder: Path) -> Path:
    return min(folder.glob("*.bmp"))


@pytest.mark.parametrize("temperature", ["0", "0.7", "1"])
def test_flows_take_a_temperature_from_zero(phosphene, run, given, here, temperature):
    done = phosphene(
        *("sample", run.path, "--image", given, "-n", "2", "--npz", "--out", "s.png"),
        *("--temperature", temperature),
    )
    assert done.code == 0, done.err
    x = np.load("s.npz")["x"]
    assert np.array_equal(x[0], x[1]) == (temperature == "0")


def bad_files(folder: Path) -> dict[str, str]:
    """Files that cannot condition, and what is said about them."""
    (folder / "text.txt").write_text("hello")
    (folder / "fake.png").write_text("hello")
    (folder / "none").mkdir()
    Image.new("L", (8, 10)).save(folder / "tall.png")
    Image.new("RGB", (8, 8), "red").save(folder / "red.png")
    Image.new("L", (8, 8), 2).save(folder / "raw.png")
    return {
        "text.txt": "'text.txt' cannot be read: not an image",
        "fake.png": "'fake.png' cannot be read: not an image",
        "none": "folder 'none' holds no images",
        "missing.png": "there is no image file or folder 'missing.png'",
        "tall.png": "'tall.png' is 10x8 pixels (height first), and the model is conditioned on "
        "images of 8x8",
        "red.png": "'red.png' is in color, and the model is conditioned on gray images",
        "raw.png": "'raw.png' holds values 0..2 of 255: the model's 4 levels are spread over "
        "0..255, 85 apart",
    }


def test_images_that_cannot_condition_are_refused_in_a_sentence(phosphene, run, here):
    for name, says in bad_files(here).items():
        done = phosphene("sample", run.path, "--image", name)
        assert done.code == 2
        assert says in done.err
        assert len(done.err.strip().splitlines()) == 1
        assert done.out == ""


def test_a_gray_picture_saved_in_color_is_gray(tmp_path):
    Image.new("RGB", (8, 8), (170, 170, 170)).save(tmp_path / "a.png")
    assert read_conditions(tmp_path / "a.png", GRAY).unique().tolist() == [2]
    Image.new("L", (8, 8), 170).save(tmp_path / "b.png")
    assert read_conditions(tmp_path / "b.png", COLOR).shape == (1, 3, 8, 8)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    clear.save(tmp_path / "c.png")
    assert read_conditions(tmp_path / "c.png", GRAY).unique().tolist() == [3]  # on white


def test_pictures_of_codes_are_read_back(tmp_path):
    for levels in (2, 4, 17, 256):
        event = ph.Event.image(1, (1, levels), levels=levels)
        values = (np.arange(levels) * 255 / (levels - 1)).round().astype(np.uint8)
        Image.fromarray(values[None]).save(tmp_path / "a.png")
        assert read_conditions(tmp_path / "a.png", event).flatten().tolist() == list(range(levels))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--inpaint",), "--inpaint and --image are two things"),
        (("--label", "1"), "is not conditioned on a label"),
        (("-n", "0"), "-n must be at least 1"),
        (("--top-k", "3"), "CFlow has no sampling top-k"),
        (("--temperature", "-1"), "temperature must be"),
    ],
)
def test_settings_that_do_not_go_with_an_image(phosphene, run, given, options, says):
    done = phosphene("sample", run.path, "--image", given, *options)
    assert (done.code, says in done.err) == (2, True), done.err


def test_a_model_without_a_condition_takes_no_image(phosphene, trained, given):
    done = phosphene("sample", trained.path, "--image", given)
    assert done.code == 2
    assert "is not conditioned on an image" in done.err


# -- the whole chain --------------------------------------------------------------------------


def test_train_needs_pairs(phosphene, here):
    done = phosphene("train", "c-flow", "--data", "openmoji", "--budget", "1steps")
    assert done.code == 2
    assert "conditioned on the image, and the data set 'openmoji' has none" in done.err
    assert not Path("runs").exists()


def test_train_resume_evaluate_report_export(phosphene, folder, here):
    data = f"folder:{folder}?size=8&condition_levels=4"
    small = ("--model.levels", 1, "--model.steps", 1, "--model.hidden", 8, "--threads", 1)
    batches = ("--train.batch-size", 8)
    done = phosphene(
        *("train", "c-flow", "--data", data, "--name", "a", "--budget", "2steps", *small, *batches)
    )
    assert done.code == 0, done.err
    done = phosphene("train", "c-flow", "--name", "a", "--resume", "--budget", "4steps")
    assert done.code == 0, done.err
    done = phosphene("train", "c-flow", "--name", "a", "--resume", "--budget", "4steps")
    assert done.code == 0, done.err
    done = phosphene("evaluate", "runs/a", "--json", "--samples", "20")
    assert done.code == 0, done.err
    scores = done.json
    assert scores["bits_per_dim"]["kind"] == scores["elbo"]["kind"] == "bound"
    assert "iwae_nll" not in scores
    assert 0 <= scores["inverse_error"]["value"] < 1e-2
    assert scores["inverse_error"]["kind"] == "largest"
    shown = phosphene("evaluate", "runs/a", "--samples", "20", "--particles", "2")
    assert "importance-weighted" in shown.out
    kept = json.loads(Path("runs/a/evaluation.json").read_text())["scores"]
    assert kept["iwae_nll"]["note"] == "2 particles, uniform dequantization, given the image"
    assert phosphene("report", "runs/a").code == 0
    page = Path("runs/a/report.html").read_text()
    assert "Samples of one condition" in page
    assert "Samples were given the images of the examples beside them." in page
    done = phosphene("export", "runs/a", "--samples", "3", "--json")
    assert done.code == 0, done.err
    assert np.load("runs/a/export/samples.npz")["image"].shape == (3, 1, 8, 8)
    done = phosphene("export", "runs/a", "--format", "torchscript")
    assert (done.code, "has no part to export" in done.err) == (2, True)
    record = json.loads(Path("runs/a/run.json").read_text())
    assert "conditions" not in record


def test_a_resumed_training_is_the_same(folder):
    data = f"folder:{folder}?size=8&condition_levels=4"
    where = folder.parent / "resumed"
    options = {**SMALL, "ema": 0.9, "schedule": "constant", "budget": "4steps"}
    whole = ph.train("c-flow", data=data, name="whole", folder=where, **options)
    ph.train("c-flow", data=data, name="cut", folder=where, **{**options, "budget": "2steps"})
    cut = ph.train("c-flow", name="cut", folder=where, resume=True, budget="4steps")
    both = zip(whole.model.state_dict().values(), cut.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in both)


def test_likelihoods_given_an_image_are_not_ranked_with_others(phosphene, folder, here):
    data = f"folder:{folder}?size=8"
    both = ("compare", "c-flow", "vae", "--data", data, "--budget", "1steps", "--threads", "1")
    done = phosphene(*both, "--samples", "20", "--particles", "1", "--name", "two")
    assert done.code == 0, done.err
    assert "negative evidence lower bound, nats, bound, given the image" in done.out
    assert "ranked within a table only" in done.out
    kept = json.loads(Path("runs/two/compare.json").read_text())
    assert {row["system"] for row in kept["rows"]} == {"c-flow", "vae"}
    done = phosphene("compare", "vae", "c-flow", "--data", "bars3", "--budget", "1steps")
    assert done.code == 2
    assert "c-flow is conditioned on the image, and the data set 'bars3' has none" in done.err
