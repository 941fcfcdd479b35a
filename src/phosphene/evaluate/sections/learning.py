"""Learning curves."""

from typing import Any

from phosphene.evaluate import page, plots
from phosphene.evaluate.section import Shown, section

__all__ = ["learning"]


@section(place=400)
def learning(shown: Shown) -> str:
    """The curves of training; of each stage by itself, where there are stages."""
    metrics = [] if shown.run is None else shown.run.metrics
    names = list(dict.fromkeys(m["stage"] for m in metrics if "stage" in m))
    if not names:
        return _curves(metrics)
    parts = [(name, [m for m in metrics if m.get("stage") == name]) for name in names]
    return "\n".join(_curves(rows, f"Learning: {name}") for name, rows in parts)


def _curves(metrics: list[dict[str, Any]], title: str = "Learning") -> str:
    train = [m for m in metrics if m.get("split") == "train"]
    validation = [m for m in metrics if m.get("split") == "validation"]
    if len(train) + len(validation) < 2:
        return ""
    best = min((m for m in validation if "loss" in m), key=lambda m: m["loss"], default=None)
    mark = (best["step"], best["loss"]) if best else None
    main = plots.curves(_lines(train, validation, "loss"), x="step", y="loss", mark=mark)
    aside = ("step", "seconds", "split", "loss", "lr", "examples", "best", "elbo", "stage")
    keys = train[-1] if train else validation[-1]
    terms = [k for k, v in keys.items() if k not in aside and isinstance(v, int | float)]
    terms = [k for k in terms if keys[k] != keys.get("loss")]  # a loss of one term
    small = [
        page.figure(
            plots.svg(plots.curves(_lines(train, validation, k), x="step", y="", size=(4.9, 2.5))),
            name=k.replace("_", " "),
        )
        for k in terms[:4]
    ]
    return page.section(
        title,
        page.figure(plots.svg(main)),
        f'<div class="pair">{"".join(small)}</div>' if small else "",
        lead="The loss that was minimized, on training batches and on the validation split.",
    )


def _lines(
    train: list[dict[str, Any]], validation: list[dict[str, Any]], key: str
) -> dict[str, tuple[list[float], list[float]]]:
    both = {"training": train, "validation": validation}
    lines = {
        name: ([m["step"] for m in rows if key in m], [m[key] for m in rows if key in m])
        for name, rows in both.items()
    }
    return {name: line for name, line in lines.items() if line[0]}
