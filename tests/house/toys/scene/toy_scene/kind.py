"""The rows: a kind of subject and its systems."""

from phosphene.catalog import Kind, System

KIND = Kind(
    name="scene", option="data", trains="field", called="a scene", learner="a field",
    target="toy_scene.scene:Scenes", options="toy_scene.options",
)  # fmt: skip


def _row(name: str, title: str, cls: str) -> System:
    target = f"toy_scene.scene:{cls}"
    return System(
        name=name, family="scene", title=title, kind="field", rows=(), paper="toys", target=target
    )


SYSTEMS = [_row("toy-field", "A ramp of light", "Ramp"), _row("toy-flat", "Flat light", "Flat")]
