"""Pairs of pictures and segmentation maps: each map fits its picture, and says nothing of color."""

import time

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.core.context import ContextSpec
from phosphene.core.event import Event
from phosphene.data import pairs, sprites


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_both_ways_hold_the_same_pairs(split: str) -> None:
    there, back = ph.data.load("sprites-masks", split), ph.data.load("masks-sprites", split)
    assert there.event == back.image_event == Event.image(3, 16)
    assert back.event == there.image_event == Event.image(1, 16, levels=4)
    assert there.image is not None
    assert back.image is not None
    assert torch.equal(there.x, back.image)
    assert torch.equal(there.image, back.x)
    there.event.check(there.x)
    back.event.check(back.x)
    assert there.context == ContextSpec(label=3, image=back.event)
    index = torch.tensor([3, 1])
    x, context = there.take(index)
    assert context.image is not None
    assert torch.equal(context.image, there.image[index])
    assert torch.equal(x, there.x[index])


def test_sizes_are_those_of_the_table_and_no_map_is_in_two_splits() -> None:
    row = next(row for row in ph.data.names() if row.name == "sprites-masks")
    seen: set[tuple[int, ...]] = set()
    for split, n in zip(("train", "validation", "test"), row.examples, strict=True):
        data = ph.data.load("sprites-masks", split)
        assert len(data) == n
        assert data.factors is not None
        own = {tuple(f) for f in data.factors.tolist()}
        assert not own & seen
        seen |= own
    assert len(seen) == 6144


def test_a_map_is_the_sprite_of_its_factors() -> None:
    data = ph.data.load("sprites-masks", "test")
    assert data.factors is not None
    assert data.image is not None
    assert data.y is not None
    images, _ = sprites.grid(16)
    index = np.ravel_multi_index(tuple(data.factors.numpy().T), tuple(sprites.FACTORS.values()))
    shape = data.y[:, None, None] + 1
    expected = torch.where(torch.from_numpy(images[index]) >= 128, shape, 0)
    assert torch.equal(data.image[:, 0].long(), expected)
    present = data.image.flatten(1).amax(1).long()
    assert torch.equal(present, data.y + 1)


def test_a_sprite_has_one_color_brighter_than_its_ground() -> None:
    data = ph.data.load("sprites-masks", "validation")
    assert data.factors is not None
    images, _ = sprites.grid(16)
    index = np.ravel_multi_index(tuple(data.factors.numpy().T), tuple(sprites.FACTORS.values()))
    cover = torch.from_numpy(images[index])[:, None]
    x = data.x.double()
    inside, outside = (cover == 255).double(), (cover == 0).double()
    count = inside.sum((2, 3)).clamp(min=1)
    mean = (x * inside).sum((2, 3)) / count
    spread = (((x - mean[:, :, None, None]) * inside).square().sum((2, 3)) / count).sqrt()
    assert float(spread.max()) < 2 * pairs.NOISE
    ground = (x * outside).sum((2, 3)) / outside.sum((2, 3))
    contrast = mean.amax(1) - ground.amax(1)
    assert float((contrast > 20).double().mean()) > 0.95
    texture = (((x - ground[:, :, None, None]) * outside).square().sum((2, 3))).sqrt()
    assert float((texture / outside.sum((2, 3)).sqrt()).mean()) > 4 * pairs.NOISE


def test_paintings_are_drawn_by_the_seed_and_differ() -> None:
    cover = np.tile(sprites.grid(16)[0][100:101], (8, 1, 1))
    one, same, other = pairs.paint(cover, 1), pairs.paint(cover, 1), pairs.paint(cover, 2)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len(np.unique(one.reshape(8, -1), axis=0)) == 8
    # The stream is frozen: whoever has the library has these pictures.
    assert int(one.astype(np.int64).sum()) == 376_981


def test_drawing_is_quick() -> None:
    pairs._pairs.cache_clear()
    start = time.process_time()
    ph.data.load("sprites-masks", "train")
    assert time.process_time() - start < 3
