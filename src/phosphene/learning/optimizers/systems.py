"""The rows of optimizers."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 130
"""Where the folder stands among the others."""

_ROOM = "phosphene.learning.optimizers"


def _row(
    name: str, title: str, kind: str, rows: tuple[int, ...], paper: str, target: str
) -> System:
    room = "phosphene.proofs.learning" if kind == "proof" else _ROOM
    return System(
        name=name,
        family="learning",
        title=f"Proof: {title}" if kind == "proof" else title,
        kind=kind,
        rows=rows,
        paper=paper,
        target=f"{room}.{target}",
    )


SYSTEMS: tuple[System, ...] = (
    _row("sgd", "Stochastic gradient descent", "tool", (148,),
         "Robbins and Monro, 1951", "sgd:SGD"),
    _row("mini-batch", "Mini-batches, all of them or those of an epoch", "tool", (148,),
         "Robbins and Monro, 1951", "mini_batch:mini_batches"),
    _row("momentum", "Momentum, in Polyak's form and in torch's", "tool", (149,),
         "Polyak, 1964", "momentum:Momentum"),
    _row("nesterov", "Nesterov's accelerated gradient, in both forms", "tool", (150,),
         "Nesterov, 1983; Sutskever, Martens, Dahl and Hinton, 2013", "nesterov:Nesterov"),
    _row("adagrad", "AdaGrad", "tool", (151,),
         "Duchi, Hazan and Singer, 2011", "adagrad:AdaGrad"),
    _row("rmsprop", "RMSProp, with eps outside the root or inside", "tool", (152,),
         "Hinton, 2012", "rmsprop:RMSProp"),
    _row("adam", "Adam", "tool", (153,), "Kingma and Ba, 2015", "adam:Adam"),
    _row("adamw", "AdamW: Adam with decoupled weight decay", "tool", (153,),
         "Loshchilov and Hutter, 2019", "adamw:AdamW"),
    _row("amsgrad", "AMSGrad, and the problem that Adam fails", "tool", (153,),
         "Reddi, Kale and Kumar, 2018", "amsgrad:AMSGrad"),
    _row("optimizers", "Eight optimizers on their way down a valley", "lesson",
         (148, 149, 150, 151, 152, 153), "Kingma and Ba, 2015; Polyak, 1964",
         "lessons.optimizers:demonstrate"),
    _row("mini-batches", "The gradient of a few examples: unbiased, and how it varies", "lesson",
         (148,), "Robbins and Monro, 1951", "lessons.mini_batches:demonstrate"),
    _row("adam-fails", "A convex problem on which Adam goes to the worst point", "lesson",
         (153,), "Reddi, Kale and Kumar, 2018", "lessons.adam_fails:demonstrate"),
    _row("unbiased-batches", "mini-batches are unbiased, and vary as 1 / m", "proof", (148,),
         "Robbins and Monro, 1951", "unbiased_batches:prove"),
    _row("momentum-rate", "momentum's two forms, and its rate on quadratics", "proof", (149,),
         "Polyak, 1964", "momentum_rate:prove"),
    _row("look-ahead", "Nesterov's parameters and torch's are a change of variables apart", "proof",
         (150,), "Nesterov, 1983; Sutskever, Martens, Dahl and Hinton, 2013", "look_ahead:prove"),
    _row("epsilon-in-the-root", "AdaGrad's and RMSProp's eps stands outside the root", "proof",
         (151, 152), "Duchi, Hazan and Singer, 2011; Hinton, 2012", "epsilon_in_the_root:prove"),
    _row("bias-correction", "Adam divides by 1 - beta^t", "proof", (153,),
         "Kingma and Ba, 2015; Reddi, Kale and Kumar, 2018", "bias_correction:prove"),
)  # fmt: skip
