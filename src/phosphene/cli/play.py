"""``phosphene play``: a moving picture of a trained agent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import print_json
from phosphene.cli.parsing import parse
from phosphene.cli.runs import open_run
from phosphene.core.paths import expanded
from phosphene.core.ranges import COUNT, SEED, Within


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Play episodes of a trained agent and write them as a moving picture.

    Args:
        run: A run folder, or its name below runs/.
        out: Where the picture goes: .gif, .mp4, or .png for eight frames side by side; by default
            play.gif in the run.
        episodes: Number of episodes, one after the other.
        seed: Seed of the episodes, none of which is from training.
        sampled: Draw actions as the agent explores, instead of its best ones.
        fps: Frames a second.
        most: Frames at most; of a longer film every second, third, ... one is kept.
        env: Another environment to play in, of the same observations and actions.
        trust: Use what the run names to be imported, run or fetched; see the page on runs.
        json: Print one JSON object.
    """

    run: Positional[Annotated[str, arg(metavar="RUN")]]
    out: Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")] = None
    episodes: Annotated[int, arg(metavar="N"), COUNT] = 1
    seed: Annotated[int, SEED] = 0
    sampled: FlagCreatePairsOff[bool] = False
    fps: Annotated[int, arg(metavar="N"), Within(1, 1000)] = 30
    most: Annotated[int, arg(metavar="N"), COUNT] = 600
    env: Annotated[str | None, arg(metavar="ENV", help_behavior_hint="")] = None
    trust: FlagCreatePairsOff[bool] = False
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Play, and name the file."""
    arguments = parse(Arguments, argv, "phosphene play")
    run = open_run(arguments.run, trust=arguments.trust, said={"env": arguments.env})
    from phosphene.subjects.environment.playing import check_film, film, write_film

    out = expanded(arguments.out) if arguments.out else run.place("play.gif")
    check_film(out)
    shown = film(
        run,
        episodes=arguments.episodes,
        seed=arguments.seed,
        greedy=not arguments.sampled,
        most=arguments.most,
    )
    write_film(shown, out, arguments.fps)
    if arguments.json:
        lengths = list(shown.lengths)
        print_json({"out": str(out), "returns": list(shown.returns), "lengths": lengths})
    else:
        for value, length in zip(shown.returns, shown.lengths, strict=True):
            print(f"return {value:g} in {length} steps")
        print(out)
    return 0
