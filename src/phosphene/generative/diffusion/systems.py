"""The rows of the diffusion family."""

from phosphene.catalog.system import System
from phosphene.catalog.taxonomy import Leaf

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 45
"""Where the family stands among the others."""

_ROOM = "phosphene.generative.diffusion"
_PROOFS = "phosphene.proofs.diffusion"
_BOUND = Leaf("variational", "ancestral")
_FLOW = Leaf("tractable", "direct")


def _proof(name: str, states: str, rows: tuple[int, ...], paper: str) -> System:
    return System(
        name=name,
        family="diffusion",
        title=f"Proof: {states}",
        kind="proof",
        rows=rows,
        paper=paper,
        target=f"{_PROOFS}.{name.replace('-', '_')}:prove",
    )


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
    _proof(
        "forward-process",
        "small steps of noise compose to sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps",
        (78,),
        "Sohl-Dickstein et al., 2015; Ho, Jain and Abbeel, 2020",
    ),
    _proof(
        "diffusion-posterior",
        "the step back, given the data, by Bayes' rule",
        (79,),
        "Ho, Jain and Abbeel, 2020",
    ),
    _proof(
        "diffusion-bound",
        "the bound of a chain, tight as 1 / T for the variance beta_t alone",
        (80,),
        "Sohl-Dickstein et al., 2015; Ho, Jain and Abbeel, 2020",
    ),
    _proof(
        "simple-loss-weighting",
        "the simple loss is the bound with other weights",
        (80, 81),
        "Ho, Jain and Abbeel, 2020; Kingma et al., 2021; Hang et al., 2023",
    ),
    _proof(
        "ancestral-sampling",
        "what ancestral sampling and DDIM make of normal data",
        (81,),
        "Ho, Jain and Abbeel, 2020; Song, Meng and Ermon, 2021",
    ),
    _proof(
        "vae-is-one-step-diffusion",
        "a chain of one step is a VAE with a fixed encoder",
        (82,),
        "Luo, 2022",
    ),
    _proof(
        "score-matching",
        "a denoiser learns the score",
        (83,),
        "Vincent, 2011; Robbins, 1956",
    ),
    _proof(
        "probability-flow",
        "the flow that has the densities of the diffusion",
        (83,),
        "Song et al., 2021; Hutchinson, 1990",
    ),
    _proof(
        "guidance",
        "guidance raises p(c | x) and lowers diversity",
        (86,),
        "Ho and Salimans, 2022; Dhariwal and Nichol, 2021",
    ),
    _proof(
        "latent-scaling",
        "latents of unit variance stay so at every step",
        (87,),
        "Rombach et al., 2022",
    ),
    System(
        name="diffusion-plane",
        family="diffusion",
        title="From noise to data in the plane, with the exact score: paths, guidance, few steps",
        kind="lesson",
        rows=(81, 83, 86),
        paper="Song et al., 2021; Ho and Salimans, 2022; Karras et al., 2022; Lu et al., 2022",
        target=f"{_ROOM}.lessons.plane:demonstrate",
    ),
)
