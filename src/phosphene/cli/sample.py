"""``phosphene sample``: pictures, texts, sounds and arrays of what a run makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.kinds import arguments_for
from phosphene.cli.output import print_json
from phosphene.cli.runs import parse_verb
from phosphene.core.ranges import SEED


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Draw samples of a run, or walk through its codes, and write pictures, texts or sounds.

    Args:
        run: A run folder, or its name below runs/.
        seed: The same seed gives the same samples.
        out: The file; by default in samples/ of the run.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
        json: Print what was written as JSON.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    seed: Annotated[int, SEED] = 0
    out: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def plain_arguments() -> Any:
    """The options of all kinds of subjects, for completion."""
    return arguments_for(Arguments, "sample")


def main(argv: Sequence[str]) -> int:
    """Write what a run makes."""
    arguments, run, said, sampler = parse_verb(Arguments, "sample", argv)
    from phosphene.api.sample import sample

    found = sample(run, seed=arguments.seed, out=arguments.out, sampler=sampler, **said)
    if arguments.json:
        told = {"written": [str(path) for path in found.paths], "shape": list(found.shape)}
        print_json({**told, "texts": found.texts} if found.texts else told)
        return 0
    for text in found.texts:
        print(text, end="\n\n")
    for path in found.paths:
        print(path)
    return 0
