"""The rows of the diffusion family."""

from phosphene.catalog.system import System
from phosphene.catalog.taxonomy import Leaf

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 45
"""Where the family stands among the others."""

_ROOM = "phosphene.generative.diffusion"
_BOUND = Leaf("variational", "ancestral")
_FLOW = Leaf("tractable", "direct")

SYSTEMS: tuple[System, ...] = (
    System(
        name="ddpm",
        family="diffusion",
        title="Denoising diffusion: a chain of steps of noise, taken back",
        kind="model",
        leaf=_BOUND,
        events=("real", "binary", "image", "binary-image"),
        context="optional",
        rows=(78, 79, 80, 81, 82, 84, 86),
        paper="Sohl-Dickstein et al., 2015; Ho, Jain and Abbeel, 2020",
        target=f"{_ROOM}.ddpm:DDPM",
    ),
    System(
        name="score-sde",
        family="diffusion",
        title="Score-based diffusion in continuous time, with its probability flow",
        kind="model",
        leaf=_BOUND,
        events=("real", "binary", "image", "binary-image"),
        context="optional",
        rows=(80, 83, 84, 86),
        paper="Song et al., 2021; Kingma et al., 2021; Karras et al., 2022",
        target=f"{_ROOM}.score_sde:ScoreSDE",
    ),
    System(
        name="flow-matching",
        family="diffusion",
        title="Flow matching, rectified flow: a velocity along straight lines",
        kind="model",
        leaf=_FLOW,
        events=("real", "binary", "image", "binary-image"),
        context="optional",
        rows=(83, 84, 86),
        paper="Lipman et al., 2023; Liu, Gong and Liu, 2023; Tong et al., 2024",
        target=f"{_ROOM}.flow_matching:FlowMatching",
    ),
    System(
        name="controlnet",
        family="diffusion",
        title="ControlNet: a trained diffusion that obeys edges, masks or sketches",
        kind="model",
        leaf=_BOUND,
        events=("image", "binary-image"),
        context="required",
        rows=(85,),
        paper="Zhang, Rao and Agrawala, 2023",
        target="phosphene.generative.composed.controlnet:ControlNet",
    ),
    System(
        name="latent-diffusion",
        family="diffusion",
        title="Latent diffusion: an autoencoder, and a diffusion of its latents",
        kind="model",
        leaf=Leaf("implicit", "direct"),
        events=("image", "binary-image"),
        context="optional",
        rows=(87,),
        paper="Rombach et al., 2022",
        target="phosphene.generative.composed.latent_diffusion:LatentDiffusion",
    ),
)
