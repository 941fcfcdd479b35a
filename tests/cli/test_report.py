"""Pictures say what the numbers say, and the report needs nothing but itself."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.api.evaluate import evaluate, read_scores
from phosphene.core.event import Event
from phosphene.evaluate import data_kind, page, pictures, views
from phosphene.evaluate.comparison import Entry, grouped, write_comparison
from phosphene.evaluate.metric import METRICS, meaning
from phosphene.evaluate.score import Score
from phosphene.subjects.dataset.report import write_report

SCORES = {
    "iwae_nll": Score(18.1, "importance-weighted", 0.2, note="500 particles"),
    "elbo": Score(-18.8, "bound", 0.2),
    "frechet_distance": Score(0.08, "pca features", floor=0.04, features="pca"),
}


def test_zero_is_black_and_the_highest_level_white():
    x = torch.tensor([0, 16]).view(2, 1, 1, 1).expand(2, 1, 4, 4)
    shown = pictures.pixels(x, Event.image(1, 4, levels=17))
    assert shown.shape == (2, 4, 4, 3)
    assert (shown[0] == 0).all()
    assert (shown[1] == 255).all()


def test_colors_keep_their_channels_and_flat_squares_their_raster_order():
    x = torch.zeros(1, 3, 2, 2)
    x[0, 0] = 255
    assert pictures.pixels(x, Event.image(3, 2))[0, 0, 0].tolist() == [255, 0, 0]
    flat = torch.zeros(1, 9)
    flat[0, 1] = 1
    shown = pictures.pixels(flat, Event.binary(9))[0, :, :, 0]
    assert shown[0, 1] == 255
    assert shown.sum() == 255
    assert pictures.shape_of_image(Event.binary(8)) is None
    assert pictures.shape_of_image(Event.real(16)) is None


def test_a_grid_enlarges_by_whole_factors_without_smoothing():
    images = np.zeros((5, 2, 2, 3), np.uint8)
    images[3, 0, 1] = 255
    sheet = np.asarray(pictures.grid(images, columns=3, scale=4, gap=1))
    assert sheet.shape == (2 * 8 + 3, 3 * 8 + 4, 3)
    tile = sheet[1 + 9 : 1 + 9 + 8, 1:9]  # image 3 is first in the second row
    expected = images[3].repeat(4, axis=0).repeat(4, axis=1)
    assert (tile == expected).all()
    gaps = {tuple(sheet[0, 0]), tuple(sheet[-1, -1])}
    assert gaps == {(140, 140, 140)}


def test_gray_pictures_survive_their_compression():
    import base64
    from io import BytesIO

    sheet = pictures.grid(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1).repeat(3, axis=3))
    data = pictures.data_uri(sheet)
    back = Image.open(BytesIO(base64.b64decode(data.partition(",")[2])))
    assert back.mode == "L"
    assert (np.asarray(back.convert("RGB")) == np.asarray(sheet)).all()


def test_neighbors_are_the_nearest():
    train = torch.arange(10.0)[:, None]
    index, distance = views.neighbors(torch.tensor([[2.2], [8.9]]), train, 2)
    assert index.tolist() == [[2, 3], [9, 8]]
    torch.testing.assert_close(distance[:, 0], torch.tensor([0.2, 0.1]), atol=1e-5, rtol=0)


def test_projection_finds_the_directions_of_largest_variance():
    z = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)).double()
    z *= torch.tensor([0.01, 5.0, 0.01, 3.0, 0.01])
    points, share = views.project(z)
    assert share > 0.999
    expected = (z - z.mean(0)).square().sum()
    torch.testing.assert_close(points.square().sum(), expected, rtol=1e-3, atol=0)
    assert views.project(z[:, :1])[0].shape == (200, 2)


def test_report_of_images_is_whole_and_alone(trained):
    text = write_report(trained, SCORES).read_text()
    for heading in (
        "Samples", "Test examples", "Reconstructions", "Interpolations", "Latent directions",
        "Nearest training examples", "Latent space", "Learning", "All scores", "Settings",
    ):  # fmt: skip
        assert heading in text
    for fact in ("digits-binary", "40steps", "importance-weighted", "500 particles", "18.1"):
        assert fact in text
    assert "prefers-color-scheme: dark" in text
    assert_self_contained(text)


def assert_self_contained(text: str) -> None:
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    assert not re.search(r"url\((?!#|data:)", text)
    assert "<script" not in text
    assert "@import" not in text
    assert text.count("<svg") == text.count("</svg>")


def test_report_of_a_flow_shows_temperatures(tmp_path):
    run = ph.train(
        "glow", data="digits", budget="2steps", folder=tmp_path, name="run", levels=1, steps=1,
        hidden=8,
    )  # fmt: skip
    text = write_report(run, {}).read_text()
    assert "Samples by temperature" in text
    assert "the base's spread times 0.5, 0.7, 0.9, 1:" in text.replace("&#x27;", "'")
    assert_self_contained(text)


def test_report_of_points_shows_densities(plane):
    text = write_report(plane, {}).read_text()
    assert "True density" in text
    assert "Density of the model, importance-weighted" in text
    assert "All scores" not in text
    assert_self_contained(text)


def test_report_command_evaluates_first_and_keeps_the_scores(phosphene, trained):
    (trained.path / "evaluation.json").unlink(missing_ok=True)
    evaluate(trained, samples=60, particles=3)
    before = read_scores(trained)
    done = phosphene("report", trained.path)
    assert done.out.strip() == str(trained.path / "report.html")
    assert read_scores(trained) == before


def test_names_of_scores_and_text_are_escaped():
    html = page.page("<b>", "", [page.section("a & b", lead="<script>")], "")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def _entry(system, run, **scores):
    return Entry(system, (run,), scores, 10, 5.0)


def test_a_bound_is_never_ranked_against_an_exact_value(trained, tmp_path):
    import phosphene as ph

    entries = [
        _entry("bounded", trained, elbo=Score(-10.0, "bound", 0.1)),
        _entry("worse", trained, nll=Score(30.0, "exact", 0.1)),
        _entry("weighted", trained, iwae_nll=Score(9.0, "importance-weighted", 0.1)),
        _entry("exact", trained, nll=Score(20.0, "exact", 0.1)),
        _entry("silent", trained, mse=Score(0.1, "reconstruction")),
    ]
    groups = grouped(entries)
    assert [[e.system for e in group] for group in groups.values()] == [
        ["exact", "worse"], ["weighted"], ["bounded"], ["silent"],
    ]  # fmt: skip
    assert groups[next(iter(groups))][0].value == 20.0
    test = ph.data.load("digits-binary", "test")
    write_comparison(tmp_path, entries, test, about="About.", command="phosphene compare")
    text = (tmp_path / "report.html").read_text()
    assert "ranked within a kind only" in text
    assert_self_contained(text)
    assert Image.open(tmp_path / "compare.png").size[0] > 500


def test_every_kind_of_score_is_explained(trained):
    for kind in ("exact", "bound", "importance-weighted", "estimate", "pca features"):
        found = meaning(kind)
        assert found is not None
        assert len(found[1]) > 20
    assert all(metric.label and metric.about for metric in METRICS)


@pytest.mark.parametrize("event", [Event.tokens(8, 5), Event.real(2, 3)])
def test_what_cannot_be_drawn_is_refused(event):
    from phosphene.core.errors import EventError

    with pytest.raises(EventError, match="cannot be drawn"):
        data_kind.picture(torch.zeros(2, *event.shape), event)
