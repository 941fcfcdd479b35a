"""The rows: a kind of subject and its systems."""

from phosphene.catalog import Kind, System

KIND = Kind(
    name="pairs", option="data", trains="translator", called="pairs", learner="a translator",
    target="toy_pairs.pairs:PairsOfImages", options="toy_pairs.options",
)  # fmt: skip


def _row(name: str, title: str, cls: str) -> System:
    target, kind = f"toy_pairs.pairs:{cls}", "translator"
    return System(
        name=name, family="pairs", title=title, kind=kind, rows=(), paper="toys", target=target
    )


SYSTEMS = [
    _row("toy-adversary", "A generator and a critic", "Adversary"),
    _row("toy-copy", "A copy", "Copy"),
]
