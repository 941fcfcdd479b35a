"""The table of all systems. It imports no torch, so that listing it is instant.

A row is enough to find, build, test and document a system. Outside packages add rows by an entry
point of the group ``phosphene.systems`` that names a list of :class:`System`.
"""

import importlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

__all__ = ["System", "find", "systems"]

Kind = Literal["model", "agent", "fit", "solver", "tool", "proof"]


@dataclass(frozen=True, kw_only=True)
class System:
    """One row of the catalogue.

    Args:
        name: What the user types.
        family: The room it lives in.
        title: What it is, in a few words.
        kind: ``model`` (trained, perhaps sampled), ``agent``, ``fit`` (to one example), ``solver``,
            ``tool`` (functions) or ``proof`` (a statement that is checked by running it).
        events: Examples of the kinds of event it takes, for the laws: ``binary``, ``image``,
            ``real``, ``tokens``, ``audio``, ``binary-image``.
        context: Whether it may, must or cannot be given a context: ``none``, ``optional``,
            ``required``.
        rows: Rows of the course's list of systems that it realises.
        paper: Authors and year.
        target: ``module:Class``.
        requires: Optional packages it needs.
    """

    name: str
    family: str
    title: str
    kind: Kind
    target: str
    rows: tuple[int, ...]
    paper: str
    events: tuple[str, ...] = ()
    context: Literal["none", "optional", "required"] = "none"
    requires: tuple[str, ...] = ()

    def load(self) -> Any:
        """Import the class or function."""
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


_AUTOENCODER = "phosphene.generative.autoencoder"
_PROOFS = "phosphene.recipes.proofs"
_DISCRETE_AND_REAL = ("binary", "binary-image", "image", "real")

_SYSTEMS: tuple[System, ...] = (
    System(
        name="autoencoder",
        family="autoencoder",
        title="Autoencoder",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        rows=(8,),
        paper="Rumelhart, Hinton and Williams, 1986; Hinton and Salakhutdinov, 2006",
        target=f"{_AUTOENCODER}.autoencoder:Autoencoder",
    ),
    System(
        name="linear-autoencoder",
        family="autoencoder",
        title="Linear autoencoder and its PCA subspace",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        rows=(9,),
        paper="Baldi and Hornik, 1989; Kunin et al., 2019",
        target=f"{_AUTOENCODER}.linear_autoencoder:LinearAutoencoder",
    ),
    System(
        name="denoising-autoencoder",
        family="autoencoder",
        title="Denoising and overcomplete autoencoder, inpainting",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        rows=(10,),
        paper="Vincent et al., 2008, 2010; Alain and Bengio, 2014",
        target=f"{_AUTOENCODER}.denoising:DenoisingAutoencoder",
    ),
    System(
        name="semi-supervised-vae",
        family="autoencoder",
        title="Semi-supervised VAE (M2)",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        context="required",
        rows=(19,),
        paper="Kingma, Rezende, Mohamed and Welling, 2014",
        target=f"{_AUTOENCODER}.semi_supervised:SemiSupervisedVAE",
    ),
    System(
        name="stacked-semi-supervised-vae",
        family="autoencoder",
        title="Stacked semi-supervised VAE (M1+M2)",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        context="required",
        rows=(19,),
        paper="Kingma, Rezende, Mohamed and Welling, 2014",
        target=f"{_AUTOENCODER}.stacked:StackedSemiSupervisedVAE",
    ),
    System(
        name="vae",
        family="autoencoder",
        title="Variational autoencoder",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        context="optional",
        rows=(16, 17, 18),
        paper="Kingma and Welling, 2014; Rezende, Mohamed and Wierstra, 2014",
        target=f"{_AUTOENCODER}.vae:VAE",
    ),
    System(
        name="linear-vae",
        family="autoencoder",
        title="Linear VAE, probabilistic PCA with an exact likelihood",
        kind="model",
        events=("real",),
        rows=(16,),
        paper="Tipping and Bishop, 1999; Lucas, Tucker, Grosse and Norouzi, 2019",
        target=f"{_AUTOENCODER}.linear_vae:LinearVAE",
    ),
    System(
        name="iwae",
        family="autoencoder",
        title="Importance-weighted autoencoder",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        context="optional",
        rows=(16,),
        paper="Burda, Grosse and Salakhutdinov, 2016",
        target=f"{_AUTOENCODER}.importance:ImportanceWeightedAutoencoder",
    ),
    System(
        name="beta-vae",
        family="autoencoder",
        title="VAE with a weight on the KL",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        context="optional",
        rows=(20,),
        paper="Higgins et al., 2017",
        target=f"{_AUTOENCODER}.beta_vae:BetaVAE",
    ),
    System(
        name="constrained-vae",
        family="autoencoder",
        title="VAE under a constraint on its KL, with the multiplier found by dual ascent",
        kind="model",
        events=(*_DISCRETE_AND_REAL, "audio"),
        context="optional",
        rows=(21,),
        paper="Rezende and Viola, 2018",
        target=f"{_AUTOENCODER}.constrained_vae:ConstrainedVAE",
    ),
    System(
        name="kl-divergence",
        family="autoencoder",
        title="Proof: the KL divergence, never negative and not symmetric",
        kind="proof",
        rows=(15,),
        paper="Kullback and Leibler, 1951",
        target=f"{_PROOFS}.kl_divergence:prove",
    ),
    System(
        name="reparametrisation",
        family="autoencoder",
        title="Proof: the reparametrization trick",
        kind="proof",
        rows=(17,),
        paper="Kingma and Welling, 2014; Williams, 1992",
        target=f"{_PROOFS}.reparametrisation:prove",
    ),
    System(
        name="elbo-decomposition",
        family="autoencoder",
        title="Proof: the ELBO and its gap",
        kind="proof",
        rows=(16,),
        paper="Kingma and Welling, 2014; Burda et al., 2016",
        target=f"{_PROOFS}.elbo_decomposition:prove",
    ),
    System(
        name="linear-autoencoder-is-pca",
        family="autoencoder",
        title="Proof: a linear autoencoder is PCA",
        kind="proof",
        rows=(9,),
        paper="Baldi and Hornik, 1989; Kunin et al., 2019",
        target=f"{_PROOFS}.linear_autoencoder_is_pca:prove",
    ),
    System(
        name="linear-beta-vae",
        family="autoencoder",
        title="Proof: the linear beta-VAE's optimum",
        kind="proof",
        rows=(20,),
        paper="Tipping and Bishop, 1999; Higgins et al., 2017",
        target=f"{_PROOFS}.linear_beta_vae:prove",
    ),
    System(
        name="autoencoder-latent",
        family="autoencoder",
        title="Proof: an autoencoder's codes do not interpolate",
        kind="proof",
        rows=(11,),
        paper="Kingma and Welling, 2014",
        target=f"{_PROOFS}.autoencoder_latent:prove",
    ),
    System(
        name="posterior-regularisation",
        family="autoencoder",
        title="Proof: reconstruction clusters, the KL fills in",
        kind="proof",
        rows=(18,),
        paper="Kingma and Welling, 2014; Higgins et al., 2017",
        target=f"{_PROOFS}.posterior_regularisation:prove",
    ),
)


@cache
def _table() -> dict[str, System]:
    table: dict[str, System] = {}
    outside = [row for point in entry_points(group="phosphene.systems") for row in point.load()]
    for row in (*_SYSTEMS, *outside):
        assert row.name not in table, f"two systems are called {row.name!r}"
        table[row.name] = row
    return table


def systems(family: str | None = None) -> list[System]:
    """The rows of the catalogue, of one family or of all.

    Example:
        >>> [row.name for row in systems("autoencoder")][:2]
        ['autoencoder', 'linear-autoencoder']
    """
    from phosphene.core.errors import UnknownNameError

    rows = list(_table().values())
    families = {row.family for row in rows}
    if family is not None and family not in families:
        raise UnknownNameError("family", family, families)
    return [row for row in rows if family is None or row.family == family]


def find(name: str) -> System:
    """The row of that name; UnknownNameError with the nearest name otherwise."""
    from phosphene.core.errors import UnknownNameError

    if name not in _table():
        raise UnknownNameError("system", name, _table())
    return _table()[name]
