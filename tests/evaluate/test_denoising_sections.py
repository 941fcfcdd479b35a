"""Sections on how samples come about: there where they are true, and each from the right noise."""

import inspect
import re
from typing import Any

import torch
from torch import Tensor

import phosphene as ph
from phosphene.core.context import ContextSpec
from phosphene.evaluate.section import SECTIONS, Shown
from phosphene.evaluate.sections.denoising import WEIGHTS, across_the_plane, guided, strips
from tests.helpers.tiny import tiny_digits, tiny_moons

NAMES = [f"phosphene.evaluate.sections.denoising.{f.__name__}" for f in (strips, guided)]
SMALL = {"widths": (8,)}


def shown(model: Any, data: Any) -> Shown:
    return Shown(model=model, test=data, train=data)


def digits(**more: Any) -> Shown:
    data = tiny_digits(64, levels=17)
    model = ph.build("ddpm", data.event, context=ContextSpec(label=4), **SMALL, **more)
    return shown(model, data)


def html(name: str, what: Shown) -> str:
    return next(s for s in SECTIONS if s.name == name).html(what)


def test_a_diffusion_of_labeled_images_has_strips_a_moving_picture_and_weights():
    what = digits()
    strip, grid = (html(name, what) for name in NAMES)
    assert strip.count("image/png") == 1
    assert strip.count("image/gif") == 1
    assert grid.count("image/png") == len(WEIGHTS)
    for weight in WEIGHTS:
        assert f"<span>{weight:g}</span>" in grid
    assert "top left, top right, bottom left, bottom right" in grid


def test_rows_of_weights_begin_with_the_conditional_model(monkeypatch):
    what = digits()
    asked: list[tuple[float, Tensor]] = []
    draw = type(what.model).sample

    def noted(self: Any, n: int, context: Any = None, **how: Any) -> Tensor:
        asked.append((how["guidance"], how["generator"].get_state()))
        return draw(self, n, context, **how)

    noted.__signature__ = inspect.signature(draw)  # type: ignore[attr-defined]
    monkeypatch.setattr(type(what.model), "sample", noted)
    guided(what)
    assert [weight for weight, _ in asked] == list(WEIGHTS)
    assert all(torch.equal(state, asked[0][1]) for _, state in asked)


def test_nothing_is_shown_that_is_not_true():
    data = tiny_digits(64, levels=17)
    vae = ph.build("vae", data.event, hidden=(8,), latent_dim=2)
    assert [html(name, shown(vae, data)) for name in NAMES] == ["", ""]
    plain = ph.build("ddpm", data.event, **SMALL)
    assert html(NAMES[0], shown(plain, data))
    assert html(NAMES[1], shown(plain, data)) == ""
    assert html(NAMES[1], digits(drop=0.0)) == ""


def test_ways_across_the_plane_have_arrows_where_there_is_a_flow():
    moons = tiny_moons(200)
    for system, arrows in (("flow-matching", True), ("score-sde", True), ("ddpm", False)):
        model = ph.build(system, moons.event, **SMALL)
        with torch.no_grad():
            for p in model.parameters():
                p.add_(0.1)
        text = across_the_plane(shown(model, moons))
        assert "<svg" in text
        assert ("Arrows" in text) == arrows
        lines = len(re.findall(r"<path ", text))
        assert lines > 40


def test_arrows_point_to_the_data(monkeypatch):
    """Of a normal around m the flow in the middle of the way leads toward m."""
    from phosphene.evaluate.sections.denoising import _field

    moons = tiny_moons(200)
    model = ph.build("flow-matching", moons.event, **SMALL)
    monkeypatch.setattr(model, "velocity", lambda y, time, context=None: 1.0 * y)
    found = _field(model, shown(model, moons))
    assert found is not None
    place, way = found
    middle = moons.x.mean(0)
    assert ((middle - place) * way >= 0).all()
