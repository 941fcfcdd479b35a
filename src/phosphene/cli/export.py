"""``phosphene export``: a run for programs that have no phosphene."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.kinds import subject_options
from phosphene.cli.output import print_json
from phosphene.cli.runs import parse_run
from phosphene.core.ranges import SEED, Within


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Write a part of a model as ONNX or TorchScript, and samples as npz and PNG.

    Args:
        run: A run folder, or its name below runs/.
        format: onnx needs the extra 'onnx'; torchscript needs nothing.
        what: Which part of the model: decoder, encoder or policy; by default the first it has.
        samples: Also write this many samples, as npz and as a picture.
        seed: Seed of the samples.
        out: The file of the model; by default in export/ of the run.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
        json: Print what was written as JSON.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    format: Literal["onnx", "torchscript"] = "onnx"
    what: Annotated[str | None, arg(metavar="PART", help_behavior_hint="")] = None
    samples: Annotated[int, arg(metavar="N"), Within(0, 2**31 - 1)] = 0
    seed: Annotated[int, SEED] = 0
    out: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def plain_arguments() -> Any:
    """The options of all kinds of subjects, for completion."""
    return subject_options(Arguments)


def main(argv: Sequence[str]) -> int:
    """Export a run."""
    arguments, run = parse_run(Arguments, argv, "phosphene export")
    from phosphene.api.export import export
    from phosphene.api.parts.part import parts_of
    from phosphene.api.sample import sample

    written = []
    if arguments.samples:
        place = run.place("export") / "samples.png"
        found = sample(run, seed=arguments.seed, out=place, number=arguments.samples, npz=True)
        written += found.paths
    if not arguments.samples or arguments.what or parts_of(run.model):
        path = export(run, format=arguments.format, what=arguments.what, out=arguments.out)
        written.insert(0, path)
    if arguments.json:
        print_json({"written": [str(path) for path in written]})
    else:
        for path in written:
            print(path)
    return 0
