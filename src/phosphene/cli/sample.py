"""``phosphene sample``: pictures and arrays of what a run makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import print_json
from phosphene.cli.parsing import parse
from phosphene.cli.runs import open_run
from phosphene.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Draw samples of a run, or walk through its codes, and write a picture.

    Args:
        run: A run folder, or its name below runs/.
        number: How many samples; of interpolations and traversals, how many rows.
        seed: The same seed gives the same picture.
        out: The picture's file; by default in samples/ of the run.
        npz: Also write the array.
        label: Ask a conditional model for this label.
        mean: Show the means that samples scatter around, where the model has them.
        temperature: Below 1 is nearer to the mode, for samplers that know it.
        prior: Decode draws from a density fitted to the training codes: normal or mixture.
        interpolate: Straight lines between the codes of test examples.
        traverse: One latent dimension at a time.
        json: Print what was written as JSON.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    number: Annotated[int | None, arg(aliases=("-n",), metavar="N", help_behavior_hint="")] = None
    seed: int = 0
    out: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    npz: FlagCreatePairsOff[bool] = False
    label: Annotated[int | None, arg(metavar="K", help_behavior_hint="")] = None
    mean: FlagCreatePairsOff[bool] = False
    temperature: Annotated[float | None, arg(metavar="T", help_behavior_hint="")] = None
    prior: Annotated[Literal["normal", "mixture"] | None, arg(help_behavior_hint="")] = None
    interpolate: FlagCreatePairsOff[bool] = False
    traverse: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Write pictures of a run."""
    arguments = parse(Arguments, argv, "phosphene sample")
    if arguments.interpolate and arguments.traverse:
        raise ConfigError("--interpolate and --traverse are two pictures; ask for one at a time")
    if arguments.number is not None and arguments.number < 1:
        raise ConfigError(f"-n must be at least 1, got {arguments.number}")
    run = open_run(arguments.run)
    from phosphene.recipes import sampling

    if arguments.interpolate:
        drawn = sampling.interpolate(run, arguments.number or 8, seed=arguments.seed)
    elif arguments.traverse:
        drawn = sampling.traverse(run, arguments.number or 8, seed=arguments.seed)
    else:
        drawn = sampling.sample(
            run,
            arguments.number or 64,
            seed=arguments.seed,
            label=arguments.label,
            mean=arguments.mean,
            temperature=arguments.temperature,
            prior=arguments.prior,
        )
    written = sampling.save_drawn(run, drawn, arguments.out, arguments.npz)
    if arguments.json:
        print_json({"written": [str(path) for path in written], "shape": list(drawn.x.shape)})
    else:
        for path in written:
            print(path)
    return 0
