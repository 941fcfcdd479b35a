"""Pictures of diffusion models, for ``build_docs_pictures.py``."""

import torch
from PIL import Image
from studio import Studio
from torch import Tensor

import phosphene as ph
from phosphene.evaluate import data_kind

__all__ = ["controlled", "denoised", "guided"]

_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0)


def _sheet(event: ph.Event, x: Tensor, columns: int) -> Image.Image:
    return data_kind.picture(x, event, columns=columns, scale=2)


@torch.no_grad()
def denoised(studio: Studio) -> Image.Image:
    """Ten digits on their way from noise, one in a row."""
    model = studio.run("ddpm", "mnist").model
    told = ph.Context(label=torch.arange(8))
    g = torch.Generator().manual_seed(3)
    path = model.sample_path(8, told, frames=14, steps=40, sampler="ddim", generator=g)
    return _sheet(model.event, path.transpose(0, 1).flatten(0, 1), 14)


@torch.no_grad()
def guided(studio: Studio) -> Image.Image:
    """Two of each digit from the same noise, at one weight of guidance in a row."""
    model = studio.run("ddpm", "mnist").model
    told = ph.Context(label=torch.arange(10).repeat_interleave(2))
    rows = []
    for weight in _WEIGHTS:
        g = torch.Generator().manual_seed(5)
        rows.append(model.sample(20, told, guidance=weight, generator=g))
    return _sheet(model.event, torch.cat(rows), 20)


@torch.no_grad()
def controlled(studio: Studio) -> Image.Image:
    """Edges of test digits, and below each three samples that were given them."""
    run = studio.run("controlnet", "digits-edges")
    model, test = run.model, ph.data.load("digits-edges", "test")
    _, context = test.take(torch.arange(20))
    assert context.image is not None
    image = test.context.image
    assert image is not None
    assert image.levels is not None
    assert model.event.levels is not None
    edges = context.image.double() / (image.levels - 1) * (model.event.levels - 1)
    rows = [edges]
    for seed in range(3):
        g = torch.Generator().manual_seed(seed)
        rows.append(model.sample(20, context, guidance=1.0, generator=g).double())
    return data_kind.picture(torch.cat(rows), model.event, columns=20, scale=4)
