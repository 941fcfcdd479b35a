"""The rows of backpropagation written out."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 110
"""Where the folder stands among the others."""

_ROOM = "phosphene.learning.backprop"
_LESSONS = f"{_ROOM}.lessons"
_PROOFS = "phosphene.proofs.learning"

SYSTEMS: tuple[System, ...] = (
    System(
        name="universal-approximator",
        family="learning",
        title="One hidden layer: constructed from ReLUs, or fitted by least squares",
        kind="tool",
        rows=(145,),
        paper="Cybenko, 1989; Leshno, Lin, Pinkus and Schocken, 1993",
        target=f"{_ROOM}.universal:HiddenLayer",
    ),
    System(
        name="universal-approximation",
        family="learning",
        title="One hidden layer comes close to any function, and one of squares does not",
        kind="lesson",
        rows=(145,),
        paper="Leshno, Lin, Pinkus and Schocken, 1993",
        target=f"{_LESSONS}.universal_approximation:demonstrate",
    ),
    System(
        name="no-polynomial-activation",
        family="learning",
        title="Proof: one hidden layer approximates any function, if f is no polynomial",
        kind="proof",
        rows=(7, 145),
        paper="Leshno, Lin, Pinkus and Schocken, 1993",
        target=f"{_PROOFS}.no_polynomial_activation:prove",
    ),
    System(
        name="activation-functions",
        family="learning",
        title="Activation functions, their derivatives, and where they saturate",
        kind="tool",
        rows=(146,),
        paper="Nair and Hinton, 2010; Hendrycks and Gimpel, 2016",
        target=f"{_ROOM}.activations:Activation",
    ),
    System(
        name="activations",
        family="learning",
        title="Ten activations, their slopes, and what is left of a gradient after many layers",
        kind="lesson",
        rows=(146,),
        paper="Glorot and Bengio, 2010",
        target=f"{_LESSONS}.activations:demonstrate",
    ),
    System(
        name="activation-derivatives",
        family="learning",
        title="Proof: the derivatives of the activations, and where they are next to 0",
        kind="proof",
        rows=(7, 146),
        paper="Glorot and Bengio, 2010; Hendrycks and Gimpel, 2016",
        target=f"{_PROOFS}.activation_derivatives:prove",
    ),
    System(
        name="mlp-gradients",
        family="learning",
        title="The delta recursion of a perceptron of several layers",
        kind="tool",
        rows=(147, 168),
        paper="Rumelhart, Hinton and Williams, 1986",
        target=f"{_ROOM}.mlp:mlp_gradients",
    ),
    System(
        name="mlp-backprop",
        family="learning",
        title="Proof: backpropagation through a perceptron of several layers",
        kind="proof",
        rows=(7, 147, 168),
        paper="Rumelhart, Hinton and Williams, 1986",
        target="phosphene.proofs.mathematics.mlp_backprop:prove",
    ),
)
