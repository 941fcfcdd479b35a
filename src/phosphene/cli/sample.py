"""``phosphene sample``: pictures, texts, sounds and arrays of what a run makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import print_json
from phosphene.cli.parsing import parse
from phosphene.cli.runs import open_run
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.ranges import COUNT, SEED

if TYPE_CHECKING:
    from phosphene.api.sample import Drawn
    from phosphene.train.folder import Run


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Draw samples of a run, or walk through its codes, and write pictures, texts or sounds.

    Args:
        run: A run folder, or its name below runs/.
        number: How many samples, or how many of each --image; of interpolations, traversals,
            translations and inpaintings, how many rows.
        seed: The same seed gives the same samples.
        out: The file; by default in samples/ of the run.
        npz: Also write the array.
        label: Ask a conditional model for this label, by its number or its name.
        given: The columns that a table's model is conditioned on, or a CSV file of such rows, with
            -n draws of each; by default, those of test rows.
        image: Condition on this picture, or on each of a folder, instead of test examples.
        mean: Show the means that samples scatter around, where the model has them.
        temperature: Below 1 is nearer to the mode and 0 is the mode, for samplers that know it.
        top_k: Choose each value among the K most probable.
        top_p: Choose each value among the fewest that have this probability together.
        prompt: Text that a model of text goes on from.
        inpaint: Test images, their upper halves, and the model's lower halves.
        prior: Decode draws from a density fitted to the training codes: normal or mixture.
        interpolate: Straight lines between the codes of test examples.
        traverse: One latent dimension at a time.
        translate: Test examples, each in its own style under every label.
        data: Other data whose test examples are interpolated, inpainted or conditioned on.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
        json: Print what was written as JSON.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    number: Annotated[
        int | None, arg(aliases=("-n",), metavar="N", help_behavior_hint=""), COUNT
    ] = None
    seed: Annotated[int, SEED] = 0
    out: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    npz: FlagCreatePairsOff[bool] = False
    label: Annotated[str | None, arg(metavar="LABEL", help_behavior_hint="")] = None
    given: Annotated[str | None, arg(metavar="A=1,B=2", help_behavior_hint="")] = None
    image: Annotated[str | None, arg(metavar="PATH", help_behavior_hint="")] = None
    mean: FlagCreatePairsOff[bool] = False
    temperature: Annotated[float | None, arg(metavar="T", help_behavior_hint="")] = None
    top_k: Annotated[int | None, arg(metavar="K", help_behavior_hint=""), COUNT] = None
    top_p: Annotated[float | None, arg(metavar="P", help_behavior_hint="")] = None
    prompt: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    inpaint: FlagCreatePairsOff[bool] = False
    prior: Annotated[Literal["normal", "mixture"] | None, arg(help_behavior_hint="")] = None
    interpolate: FlagCreatePairsOff[bool] = False
    traverse: FlagCreatePairsOff[bool] = False
    translate: FlagCreatePairsOff[bool] = False
    data: Annotated[str | None, arg(metavar="DATA", help_behavior_hint="")] = None
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Write pictures of a run."""
    arguments = parse(Arguments, argv, "phosphene sample")
    _check(arguments)
    run = open_run(arguments.run, trust=arguments.trust, said={"data": arguments.data})
    if run.env is not None:
        raise RunError(
            f"{str(run.path)!r} is the run of an agent, which draws no samples; "
            f"'phosphene play {arguments.run}' shows it at work"
        )
    from phosphene.api import sample as sampling

    drawn = _draw(arguments, run)
    written = sampling.save_drawn(run, drawn, arguments.out, arguments.npz)
    texts = sampling.texts(run, drawn)
    if arguments.json:
        found = {"written": [str(path) for path in written], "shape": list(drawn.x.shape)}
        print_json({**found, "texts": texts} if texts else found)
        return 0
    for text in texts:
        print(text, end="\n\n")
    for path in written:
        print(path)
    return 0


def _check(arguments: Arguments) -> None:
    asked = [
        name
        for name in ("interpolate", "traverse", "translate", "inpaint")
        if getattr(arguments, name)
    ] + [name for name in ("prompt", "image") if getattr(arguments, name) is not None]
    if len(asked) > 1:
        raise ConfigError(f"--{asked[0]} and --{asked[1]} are two things; ask for one at a time")


def _draw(arguments: Arguments, run: "Run") -> "Drawn":
    from phosphene.api import sample as sampling

    seed, rows = arguments.seed, arguments.number or 8
    chosen: dict[str, Any] = {
        "temperature": arguments.temperature,
        "top_k": arguments.top_k,
        "top_p": arguments.top_p,
    }
    if arguments.interpolate:
        return sampling.interpolate(run, rows, seed=seed)
    if arguments.traverse:
        return sampling.traverse(run, rows, seed=seed)
    if arguments.translate:
        return sampling.translate(run, rows, seed=seed)
    if arguments.inpaint:
        return sampling.inpaint(run, rows, seed=seed, **chosen)
    if arguments.prompt is not None:
        n = arguments.number or 4
        label = arguments.label
        return sampling.complete(run, arguments.prompt, n, seed=seed, label=label, **chosen)
    return sampling.sample(
        run,
        arguments.number,
        seed=seed,
        label=arguments.label,
        mean=arguments.mean,
        prior=arguments.prior,
        image=arguments.image,
        given=arguments.given,
        **chosen,
    )
