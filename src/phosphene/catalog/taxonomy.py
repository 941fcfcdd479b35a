"""Where a generative model stands: what density it has, how that is known, how it is sampled.

The tree is Goodfellow's (NIPS 2016 tutorial), with a branch for what is no generative model by
itself. It imports no torch.
"""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["BRANCHES", "Branch", "Leaf", "Sampling", "tree"]

Branch = Literal["tractable", "variational", "markov-chain", "implicit", "implicit-chain", "none"]
Sampling = Literal["direct", "ancestral", "chain", "none"]

BRANCHES: Mapping[Branch, tuple[str, ...]] = {
    "tractable": ("explicit density", "tractable"),
    "variational": ("explicit density", "approximate", "variational"),
    "markov-chain": ("explicit density", "approximate", "by a Markov chain"),
    "implicit": ("implicit density", "sampled directly"),
    "implicit-chain": ("implicit density", "sampled by a Markov chain"),
    "none": ("no density",),
}
"""The way from the root to each branch, in the order in which they are drawn."""

_FITTING: Mapping[Branch, tuple[Sampling, ...]] = {
    "tractable": ("direct", "ancestral"),
    "variational": ("ancestral",),
    "markov-chain": ("chain",),
    "implicit": ("direct",),
    "implicit-chain": ("chain",),
    "none": ("direct", "none"),
}
_SAID: Mapping[Sampling, str] = {
    "direct": "direct",
    "ancestral": "ancestral",
    "chain": "chain",
    "none": "not sampled",
}


@dataclass(frozen=True)
class Leaf:
    """A place in the tree of generative models.

    Args:
        branch: What is known of the density. ``tractable``: it is computed, as far as the numbers
            of the machine go (of codes that are dequantized, it is the density of the reals that
            is; the codes have a bound). ``variational``: it is an integral over latents, with a
            bound. ``markov-chain``: it is known up to its normalizer, which is estimated by
            chains, or summed where there are few states. ``implicit``: there is a sampler and no
            density. ``implicit-chain``: the same, and the sampler is a chain. ``none``: neither,
            until a distribution of the codes is added.
        sampling: How an example is drawn. ``direct``: a function of noise, in one go.
            ``ancestral``: one variable after another, each given its parents; these are values
            before it, or latents. ``chain``: the state of a Markov chain, after enough steps.
            ``none``: it is not.

    Raises:
        ValueError: The branch is not sampled in that way.

    Example:
        >>> Leaf("tractable", "ancestral").path
        ('explicit density', 'tractable')
    """

    branch: Branch
    sampling: Sampling

    def __post_init__(self) -> None:
        if self.sampling not in _FITTING[self.branch]:
            raise ValueError(f"a model that is {self.branch} is not sampled by {self.sampling!r}")

    @property
    def path(self) -> tuple[str, ...]:
        """From the root to the branch."""
        return BRANCHES[self.branch]


def tree(leaves: Iterable[tuple[str, Leaf]], *, empty: bool = True, width: int = 0) -> list[str]:
    r"""The tree, drawn in lines; at each branch the models that stand there, by their sampling.

    Args:
        leaves: Names of models and their places.
        empty: Draw branches on which no model stands, too.
        width: Longer lines are folded below their names; 0 for never.

    Example:
        >>> print("\n".join(tree([("made", Leaf("tractable", "ancestral"))], empty=False)))
        generative models
        └── explicit density
            └── tractable
                └── ancestral: made
    """
    root: dict[str, dict[str, object]] = {}
    standing = list(leaves)
    for branch, path in BRANCHES.items():
        own = [(name, leaf.sampling) for name, leaf in standing if leaf.branch == branch]
        if not own and not empty:
            continue
        at: dict[str, object] = root  # type: ignore[assignment]
        for word in path:
            at = at.setdefault(word, {})  # type: ignore[assignment]
        for how in _FITTING[branch]:
            names = [name for name, sampling in own if sampling == how]
            if names:
                at[f"{_SAID[how]}: {', '.join(names)}"] = {}
    lines = ["generative models", *_lines(root)]
    return [part for line in lines for part in (_folded(line, width) if width else [line])]


def _lines(children: Mapping[str, object]) -> list[str]:
    lines: list[str] = []
    for k, (word, below) in enumerate(children.items()):
        last = k == len(children) - 1
        lines.append(f"{'└── ' if last else '├── '}{word}")
        assert isinstance(below, dict)
        lines += [("    " if last else "│   ") + line for line in _lines(below)]
    return lines


def _folded(line: str, width: int) -> list[str]:
    """A line of names within a width; the branches beside it go on."""
    branch = len(line) - len(line.lstrip("│├└─ "))
    beside = "".join("│" if c in "│├" else " " for c in line[:branch])
    room = beside + " " * (line.find(": ") + 2 - branch)
    return textwrap.wrap(line, width, subsequent_indent=room, break_on_hyphens=False) or [line]
