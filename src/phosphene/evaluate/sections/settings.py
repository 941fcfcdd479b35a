"""All settings of a run."""

from html import escape
from typing import Any

from phosphene.evaluate import page
from phosphene.evaluate.section import Shown, section
from phosphene.train.folder import Run

__all__ = ["settings", "settings_table"]


@section(place=600)
def settings(shown: Shown) -> str:
    """The settings of the run."""
    return "" if shown.run is None else settings_table(shown.run)


def settings_table(run: Run) -> str:
    """Every setting of the model and of the trainer, folded away."""
    groups = []
    for name, key in (("Model", "model"), ("Trainer", "train")):
        values = {
            k: v
            for k, v in run.config.get(key, {}).items()
            if k not in ("type", "event", "spec") and v is not None
        }
        rows = [(f"<code>{escape(k)}</code>", escape(_setting(v))) for k, v in values.items()]
        groups.append(f"<div><h3>{name}</h3>{page.table(('setting', 'value'), rows)}</div>")
    body = f'<div class="pair">{"".join(groups)}</div>'
    return page.section(
        "Settings", f"<details><summary>Everything that was set</summary>{body}</details>"
    )


def _setting(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_setting(v) for v in value)
    if isinstance(value, dict):
        return ", ".join(
            f"{k} {_setting(v)}" for k, v in value.items() if k != "type" and v is not None
        )
    return str(value)
