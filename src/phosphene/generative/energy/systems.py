"""The rows of the energy family."""

from phosphene.catalog.system import System
from phosphene.catalog.taxonomy import Leaf

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 30
"""Where the family stands among the others."""

_ROOM = "phosphene.generative.energy"
_BITS = ("binary", "binary-image")
_UP_TO_Z = Leaf("markov-chain", "chain")

SYSTEMS: tuple[System, ...] = (
    System(
        name="boltzmann-machine",
        family="energy",
        title="Boltzmann machine, visible or with hidden units",
        kind="model",
        leaf=_UP_TO_Z,
        events=_BITS,
        rows=(12,),
        paper="Ackley, Hinton and Sejnowski, 1985",
        target=f"{_ROOM}.boltzmann:BoltzmannMachine",
    ),
    System(
        name="rbm",
        family="energy",
        title="Restricted Boltzmann machine",
        kind="model",
        leaf=_UP_TO_Z,
        events=_BITS,
        rows=(13,),
        paper="Smolensky, 1986; Hinton, 2002; Tieleman, 2008; Salakhutdinov and Murray, 2008",
        target=f"{_ROOM}.rbm:RBM",
    ),
    System(
        name="gsn",
        family="energy",
        title="Generative stochastic network with walkback",
        kind="model",
        leaf=Leaf("implicit-chain", "chain"),
        events=_BITS,
        rows=(14,),
        paper="Bengio, Laufer, Alain and Yosinski, 2014; Yao et al., 2013",
        target=f"{_ROOM}.gsn:GSN",
    ),
)
