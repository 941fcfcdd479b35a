"""Samplers of few steps: no law asks how good samples are."""

from collections.abc import Iterator

import pytest

from phosphene.generative.diffusion.diffusion import Diffusion
from phosphene.generative.diffusion.editing import Editing
from phosphene.generative.diffusion.flow_matching import FlowMatching


@pytest.fixture(scope="package", autouse=True)
def few_steps() -> Iterator[None]:
    """Four steps of a sampler, and eight levels where something is filled in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Diffusion, "usual_steps", 4)
        patch.setattr(FlowMatching, "usual_steps", 4)
        patch.setattr(Editing, "usual_levels", 8)
        yield
