"""The rows: a kind of subject and its systems."""

from phosphene.catalog import Kind, System

KIND = Kind(
    name="mesh", option="data", trains="surface", called="a mesh", learner="a surface",
    target="toy_mesh.mesh:Meshes", options="toy_mesh.options",
)  # fmt: skip


def _row(name: str, title: str, cls: str) -> System:
    target = f"toy_mesh.mesh:{cls}"
    return System(
        name=name, family="mesh", title=title, kind="surface", rows=(), paper="toys", target=target
    )


SYSTEMS = [_row("toy-box", "A box", "Box"), _row("toy-ball", "A ball", "Ball")]
