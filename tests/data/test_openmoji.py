"""The embedded emoji: pairs fit, parts share nothing, and the file is small."""

import json
import re
from importlib.resources import files

import numpy as np
import torch

import phosphene as ph
from phosphene.data.embedded import read_asset

SPLITS = ("train", "validation", "test")


def names() -> list[str]:
    return read_asset("openmoji")["names"].tobytes().decode("utf-8").split("\n")


def test_the_asset_is_small_and_complete() -> None:
    arrays = read_asset("openmoji")
    assert sum(a.nbytes for a in arrays.values()) < 16e6
    assert len(names()) == len(set(names())) == len(arrays["x"]) == len(arrays["lines"])
    index = np.concatenate([arrays[s] for s in SPLITS])
    assert sorted(index) == list(range(len(arrays["x"])))


def test_the_licence_is_kept() -> None:
    assets = files("phosphene.data") / "assets"
    row = json.loads((assets / "checksums.json").read_text())["openmoji.npz"]
    assert row["bytes"] < 4e6
    assert row["source"]["license"] == "CC BY-SA 4.0"
    part = (assets / "ATTRIBUTION.md").read_text().split("## openmoji.npz")[1].split("\n## ")[0]
    plain = " ".join(part.split())
    assert "all emojis designed by OpenMoji" in plain
    assert "CC BY-SA 4.0" in plain
    assert "under the same license" in plain
    rows = {r.name: r.licence for r in ph.data.names()}
    assert rows["openmoji"] == rows["openmoji-lines"] == "CC BY-SA 4.0"


def test_no_picture_repeats() -> None:
    x = torch.cat([ph.data.load("openmoji", s).x for s in SPLITS])
    assert len({row.numpy().tobytes() for row in x}) == len(x)


def test_motifs_are_not_divided() -> None:
    arrays = read_asset("openmoji")
    found: dict[str, set[str]] = {}
    for part in SPLITS:
        for i in arrays[part]:
            code = names()[i].split(" ")[0]
            base = re.sub("1F46[89]", "1F9D1", re.sub("-200D-(2640|2642|27A1)|-FE0F", "", code))
            found.setdefault(base, set()).add(part)
    assert all(len(parts) == 1 for parts in found.values())
    assert len(found) < len(names())


def test_skin_tones_and_brands_are_left_out() -> None:
    assert not any(re.search("1F3F[B-F]", name) for name in names())
    assert not any("facebook" in name.lower() for name in names())


def test_groups_are_held_out_in_proportion() -> None:
    parts = [ph.data.load("openmoji", s) for s in SPLITS]
    assert "animals-nature" in parts[0].classes
    shares = [torch.bincount(p.y, minlength=11) / len(p) for p in parts if p.y is not None]
    assert all((shares[0] - share).abs().max() < 0.02 for share in shares)


def test_lines_condition_the_colors() -> None:
    for part in SPLITS:
        pairs = ph.data.load("openmoji-lines", part)
        assert pairs.context == ph.ContextSpec(label=11, image=ph.Event.image(1, 32))
        assert pairs.image is not None
        x, context = pairs.take(torch.arange(4))
        assert torch.equal(x, pairs.x[:4])
        assert context.image is not None
        assert context.image.dtype == torch.uint8
        # Where the line drawing is black, so is the color drawing.
        dark = pairs.image < 32
        light = pairs.x.float().mean(1, keepdim=True)
        assert light[dark].mean() < 60 < 180 < light[~dark].mean()


def test_no_line_drawing_has_two_colorings() -> None:
    images = torch.cat([ph.data.load("openmoji-lines", s).image for s in SPLITS])
    assert len({row.numpy().tobytes() for row in images}) == len(images)
    assert int(images.flatten(1).min(1).values.max()) < 160  # none is blank


def test_pairs_are_part_of_the_pictures() -> None:
    for part in SPLITS:
        whole = {row.numpy().tobytes() for row in ph.data.load("openmoji", part).x}
        assert {row.numpy().tobytes() for row in ph.data.load("openmoji-lines", part).x} <= whole
