"""The rows: a kind of subject and its systems."""

from phosphene.catalog import Kind, System

KIND = Kind(
    name="clip", option="data", trains="motion", called="a clip", learner="a motion",
    target="toy_clip.clip:Clips", options="toy_clip.options",
)  # fmt: skip


def _row(name: str, title: str, cls: str) -> System:
    target = f"toy_clip.clip:{cls}"
    return System(
        name=name, family="clip", title=title, kind="motion", rows=(), paper="toys", target=target
    )


SYSTEMS = [_row("toy-swing", "A pendulum", "Swing"), _row("toy-still", "No motion", "Still")]
