"""The rows of convolution: its algebra, its layers, and what is proved of them."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 120
"""Where the folder stands among the others."""

_ROOM = "phosphene.learning.convolution"


def _row(
    name: str, title: str, kind: str, rows: tuple[int, ...], paper: str, target: str
) -> System:
    return System(
        name=name, family="learning", title=title, kind=kind, rows=rows, paper=paper, target=target
    )


def _proof(name: str, title: str, row: int, paper: str) -> System:
    target = f"phosphene.proofs.learning.{name.replace('-', '_')}:prove"
    return _row(name, f"Proof: {title}", "proof", (row,), paper, target)


SYSTEMS: tuple[System, ...] = (
    _row("convolutions", "Convolution and correlation, circular and full", "tool", (154, 155),
         "Dumoulin and Visin, 2016", f"{_ROOM}.correlation:convolve"),
    _row("convolution-matrices", "Toeplitz, circulant and im2col matrices", "tool", (156,),
         "Dumoulin and Visin, 2016", f"{_ROOM}.matrices:toeplitz"),
    _row("shift-equivariance", "Shifts, and the kernel of a map that commutes with them", "tool",
         (154,), "Cohen and Welling, 2016", f"{_ROOM}.equivariance:kernel_of"),
    _row("kernels", "What kernels make of a picture, and a map found out by its answer "
         "to a point", "lesson", (154, 155, 157), "LeCun and others, 1989",
         f"{_ROOM}.lessons.convolution:demonstrate"),
    _row("upsampling", "Unpooling and transposed convolution, and where checkerboards come from",
         "lesson", (159, 160, 161), "Odena, Dumoulin and Olah, 2016",
         f"{_ROOM}.lessons.upsampling:demonstrate"),
    _proof("equivariance", "linear and shift-equivariant is convolution", 154,
           "Cohen and Welling, 2016"),
    _proof("convolution", "convolution and correlation", 155, "Dumoulin and Visin, 2016"),
    _proof("convolution-matrix", "convolution as a product of matrices", 156,
           "Dumoulin and Visin, 2016"),
    _proof("convolution-backward", "backward through a convolution", 157, "LeCun and others, 1989"),
    _proof("output-size", "the size of an output", 158, "Dumoulin and Visin, 2016"),
    _proof("pooling", "pooling and its gradient", 159, "Boureau, Ponce and LeCun, 2010"),
    _proof("unpooling", "nearest, bed of nails, max-unpooling", 160, "Zeiler and Fergus, 2014"),
    _proof("transposed-convolution", "transposed convolution is the adjoint", 161,
           "Odena, Dumoulin and Olah, 2016"),
)  # fmt: skip
