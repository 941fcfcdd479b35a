"""``phosphene environments``: list the environments, or describe one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from phosphene.cli.output import note, print_json, print_table
from phosphene.cli.parsing import parse


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """List the environments that need nothing else, or describe one of any kind.

    Args:
        name: One of these, any of gymnasium's by its name there, or a map, grid:FILE.
        json: Print JSON.
    """

    name: Positional[Annotated[str, arg(metavar="NAME", help_behavior_hint="")]] = ""
    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """List environments."""
    arguments = parse(Arguments, argv, "phosphene environments")
    from phosphene.decision.environments.table import listed_specs, spec

    specs = [spec(arguments.name)] if arguments.name else listed_specs()
    if arguments.json:
        rows = [
            {
                "name": s.name,
                "observation": str(s.observation),
                "actions": s.actions,
                "low": list(s.low),
                "high": list(s.high),
                "limit": s.limit,
            }
            for s in specs
        ]
        print_json(rows[0] if arguments.name else rows)
        return 0
    print_table(
        ("environment", "observation", "actions", "limit"),
        [(s.name, str(s.observation), _actions(s), str(s.limit or "none")) for s in specs],
        right=("limit",),
    )
    if not arguments.name:
        note("Any environment of gymnasium's is taken by its name: pip install 'phosphene[rl]'.")
    return 0


def _actions(spec: object) -> str:
    from phosphene.core.environment import EnvSpec

    assert isinstance(spec, EnvSpec)
    if spec.actions is not None:
        return f"{spec.actions} discrete"
    return ", ".join(f"{a:g}..{b:g}" for a, b in zip(spec.low, spec.high, strict=True))
