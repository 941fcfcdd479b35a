"""Conditions made of images: each is what its formula says, and what has none is refused."""

import pytest
import torch

import phosphene as ph
from phosphene.core.context import ContextSpec
from phosphene.core.errors import DataError, PhospheneError
from phosphene.core.event import Event
from phosphene.data.image_conditions import (
    CONDITIONS,
    conditions_of,
    edges,
    mask,
    sketch,
    with_condition,
)
from tests.helpers.tiny import examples, tiny_digits, tiny_moons

WEIGHTS = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)


@pytest.mark.parametrize(("channels", "levels"), [(1, 2), (1, 17), (3, 256)])
def test_edges_are_where_the_luminance_differs_from_the_next_pixels(channels, levels):
    x = examples(Event.image(channels, (6, 9), levels=levels), 4)
    found = edges(x, levels)
    assert found.dtype == torch.uint8
    unit = x.double() / (levels - 1)
    gray = torch.einsum("nchw,c->nhw", unit, WEIGHTS) if channels == 3 else unit[:, 0]
    for image, edge in zip(gray, found[:, 0], strict=True):
        for i in range(6):
            for j in range(9):
                near = [(i + 1, j)] * (i < 5) + [(i, j + 1)] * (j < 8)
                change = max([abs(float(image[i, j] - image[a, b])) for a, b in near], default=0.0)
                assert int(edge[i, j]) == (change >= 0.4) or abs(change - 0.4) < 1e-5


def test_edges_move_with_the_image_and_are_those_of_its_negative():
    x = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    x[..., 3:5, 2:6] = 16
    moved, negative = x.roll((2, 1), (2, 3)), 16 - x
    assert torch.equal(edges(moved, 17), edges(x, 17).roll((2, 1), (2, 3)))
    assert torch.equal(edges(negative, 17), edges(x, 17))
    # Above its 4 columns, left of its 2 rows, its bottom row and its right column but for one.
    assert edges(x, 17).sum() == 4 + 2 + 4 + 1


def test_a_flat_image_has_no_edges_and_no_foreground():
    x = torch.full((2, 3, 8, 8), 200)
    assert edges(x, 256).sum() == mask(x, 256).sum() == 0


def test_the_foreground_is_what_differs_from_the_border():
    x = torch.full((1, 3, 8, 8), 255)
    x[0, 2, 2:5, 3:6] = 100  # yellow on white
    found = mask(x, 256)
    assert found.sum() == 9
    assert found[0, 0, 2:5, 3:6].all()
    assert torch.equal(mask(255 - x, 256), found)


def test_a_sketch_is_the_blurred_luminance_in_four_levels():
    x = examples(Event.image(1, 8, levels=17), 3)
    found = sketch(x, 17)
    for image, drawn in zip(x[:, 0].double() / 16, found[:, 0], strict=True):
        for i in range(8):
            for j in range(8):
                block = image[max(0, i - 1) : i + 2, max(0, j - 1) : j + 2]
                mean = float(block.mean())
                assert int(drawn[i, j]) == min(3, int(4 * mean + 1e-4))
    assert sketch(torch.full((1, 1, 4, 4), 16), 17).unique().tolist() == [3]


@pytest.mark.parametrize("name", ["digits-edges", "mnist-edges", "openmoji-edges"])
def test_named_pairs_are_the_plain_images_beside_their_edges(name):
    pairs, plain = ph.data.load(name, "test"), ph.data.load(name.removesuffix("-edges"), "test")
    assert pairs.image_of == "edges"
    assert torch.equal(pairs.x, plain.x)
    assert plain.event.levels is not None
    assert pairs.image is not None
    assert torch.equal(pairs.image, edges(plain.x, plain.event.levels))
    size = plain.event.shape[1], plain.event.shape[2]
    assert pairs.context == ContextSpec(label=len(plain.classes), image=Event.image(1, size, 2))
    share = float(pairs.image.double().mean())
    assert 0.1 < share < 0.4, f"edges should say something, and are {share:.2f} of the pixels"


def test_fine_edges_hold_the_edges():
    x = ph.data.load("openmoji", "test").x[:50]
    coarse, fine = (conditions_of(x, 256, kind) for kind in ("edges", "fine-edges"))
    assert (fine >= coarse).all()
    assert fine.sum() > 1.2 * coarse.sum()


@pytest.mark.parametrize("kind", CONDITIONS)
def test_any_images_by_name(kind, tmp_path):
    from PIL import Image

    for k in range(30):
        Image.new("RGB", (12, 10), (k, 90, 8 * k)).save(tmp_path / f"{k}.png")
    name = f"{kind}:folder:{tmp_path}?size=8"
    pairs = ph.data.load(name, "train")
    assert (pairs.name, pairs.image_of) == (name, kind)
    assert pairs.image is not None
    assert torch.equal(pairs.image, conditions_of(pairs.x, 256, kind))
    assert pairs.image_event is not None
    assert pairs.image_event.check(pairs.image) is pairs.image


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: ph.data.load("edges:mnis"), "mnist"),
        (lambda: ph.data.load("edges:moons"), "has no edges"),
        (lambda: ph.data.load("mask:edges:mnist"), "already"),
        (lambda: with_condition(tiny_moons(4), "sketch"), "has no sketch"),
        (lambda: conditions_of(tiny_digits(4).x, 2, "edge"), "did you mean 'edges'"),  # type: ignore[arg-type]
    ],
)
def test_what_has_no_conditions_is_refused_in_one_sentence(make, word):
    with pytest.raises((DataError, PhospheneError)) as error:
        make()
    assert word in str(error.value)
    assert "\n" not in str(error.value)
