"""The rows of backpropagation written out."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 110
"""Where the folder stands among the others."""

_ROOM = "phosphene.learning.backprop"
_LESSONS = f"{_ROOM}.lessons"
_PROOFS = "phosphene.proofs.learning"


def _row(
    name: str, title: str, kind: str, rows: tuple[int, ...], paper: str, target: str
) -> System:
    return System(
        name=name, family="learning", title=title, kind=kind, rows=rows, paper=paper,
        target=f"{_ROOM}.{target}",
    )  # fmt: skip


SYSTEMS: tuple[System, ...] = (
    _row("layers", "Layers with a forward and a backward pass, in a chain", "tool", (147,),
         "Rumelhart, Hinton and Williams, 1986", "layer:Network"),
    _row("linear-layer", "The linear layer", "tool", (147,),
         "Rumelhart, Hinton and Williams, 1986", "linear:Linear"),
    _row("losses", "Squared error and cross-entropies", "tool", (144, 147),
         "Bridle, 1990", "losses:CrossEntropy"),
    _row("activation-layer", "A layer of activations", "tool", (146, 147),
         "Nair and Hinton, 2010", "activate:Activate"),
    _row("convolution-layer", "Convolution with stride, padding, dilation and groups", "tool",
         (155, 156, 157), "LeCun and others, 1989", "convolution:Convolution2d"),
    _row("windows", "Windows of pictures, and the size of an output", "tool", (156, 158),
         "Dumoulin and Visin, 2016", "windows:windows"),
    _row("pooling-layers", "Pooling by the largest value and by the mean", "tool", (159,),
         "Boureau, Ponce and LeCun, 2010", "pooling:MaxPool2d"),
    _row("unpooling-layers", "Nearest, bed of nails and max-unpooling", "tool", (160,),
         "Zeiler and Fergus, 2014", "unpooling:MaxUnpool2d"),
    _row("transposed-convolution-layer", "Transposed convolution, a layer", "tool", (161,),
         "Dumoulin and Visin, 2016", "transposed:TransposedConvolution2d"),
    _row("normalization-layers", "Batch, layer and group normalization", "tool", (147,),
         "Ioffe and Szegedy, 2015; Ba, Kiros and Hinton, 2016; Wu and He, 2018",
         "normalization:BatchNorm"),
    _row("torch-bridge", "These layers inside torch, as autograd functions", "tool", (147,),
         "Paszke and others, 2019", "torch_bridge:AsModule"),
    _row("picture-classifiers", "Networks of these layers, trained on pictures", "tool",
         (147, 153, 157), "LeCun, Bottou, Bengio and Haffner, 1998",
         "classifier:train_classifier"),
    _row("backpropagation", "A network of layers written out learns to tell pictures apart",
         "lesson", (147, 157, 159), "Rumelhart, Hinton and Williams, 1986",
         "lessons.backpropagation:demonstrate"),
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
)  # fmt: skip
