"""Statements of the course that are proved by running them: ``phosphene prove NAME``.

Every proof is a function ``prove(seed=0) -> Proof`` of a module of this folder, takes under 20
seconds on one core (the adding problem a minute), and trains, where it must, in a plain loop in
memory: it leaves nothing behind.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phosphene.proofs.proof import Proof

__all__ = ["PROOFS", "run"]

PROOFS: dict[str, str] = {
    "kl-divergence": "kl_divergence",
    "reparametrisation": "reparametrisation",
    "elbo-decomposition": "elbo_decomposition",
    "linear-autoencoder-is-pca": "linear_autoencoder_is_pca",
    "linear-beta-vae": "linear_beta_vae",
    "autoencoder-latent": "autoencoder_latent",
    "posterior-regularisation": "posterior_regularisation",
    "teacher-forcing": "teacher_forcing",
    "second-order": "second_order",
    "generative-classifier": "generative_classifier",
    "blind-spot": "blind_spot",
    "receptive-field": "receptive_field",
    "copy-memory": "copy_memory",
    "adding-problem": "adding_problem",
    "attention": "attention",
    "causal-mask": "causal_mask",
    "multi-head": "multi_head",
    "positional-encoding": "positional_encoding",
    "reverse-kl": "reverse_kl",
    "random-walk": "random_walk",
    "batch-td": "batch_td",
    "exploration": "exploration",
    "cliff-walking": "cliff_walking",
    "windy-gridworld": "windy_gridworld",
    "maximization-bias": "maximization_bias",
    "policy-gradient": "policy_gradient",
    "baseline": "baseline",
    "generalized-advantage": "gae",
    "linear-quadratic": "lqr",
}
"""Name on the command line to module of this folder."""


def run(name: str, seed: int = 0) -> "Proof":
    """Run the proof of that name.

    Raises:
        UnknownNameError: There is no such proof; the nearest name is offered.
    """
    from phosphene.core.errors import UnknownNameError

    if name not in PROOFS:
        raise UnknownNameError("proof", name, PROOFS)
    proof: Proof = import_module(f"{__name__}.{PROOFS[name]}").prove(seed=seed)
    return proof
