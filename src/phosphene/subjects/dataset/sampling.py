"""``phosphene sample`` for models of data: samples are drawn and written to files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from phosphene.core.errors import ConfigError
from phosphene.subjects.dataset import drawing, from_images
from phosphene.subjects.dataset.drawing import Drawn
from phosphene.subjects.dataset.writing import save_drawn, texts
from phosphene.subjects.results import Sampled
from phosphene.train.folder import Run

__all__ = ["draw_and_write"]

_THINGS = (
    "interpolate",
    "traverse",
    "translate",
    "inpaint",
    "prompt",
    "from_image",
)
_CONDITIONS = ("image", "control")
_SHOWN = ("path", "animate")
"""Ways in which samples can be shown."""
_CHOOSING = ("temperature", "top_k", "top_p")
_OF_FROM_IMAGE = ("strength", "mask")


def draw_and_write(
    run: Run, *, seed: int, out: str | Path | None, sampler: Mapping[str, Any], **options: Any
) -> Sampled:
    """Draw what was asked for, and write it.

    Raises:
        ConfigError: Two things were asked for, or an option means nothing to what was.
    """
    _refuse_two(options, (*_THINGS, *_SHOWN))
    walks = [name for name in _THINGS if name != "from_image"]
    for name in _CONDITIONS:
        _refuse_two(options, (*walks, name))
    _refuse_two(options, _CONDITIONS)
    for name in _OF_FROM_IMAGE:
        if options[name] is not None and options["from_image"] is None:
            raise ConfigError(f"--{name} says what becomes of an image: name it by --from-image")
    drawn = _draw(run, options, seed, sampler)
    written = save_drawn(run, drawn, out, options["npz"])
    return Sampled(written, tuple(drawn.x.shape), texts(run, drawn))


def _refuse_two(options: Mapping[str, Any], names: tuple[str, ...]) -> None:
    asked = [name.replace("_", "-") for name in names if options[name] not in (None, False)]
    if len(asked) > 1:
        raise ConfigError(f"--{asked[0]} and --{asked[1]} are two things; ask for one at a time")


def _draw(run: Run, options: Mapping[str, Any], seed: int, sampler: Mapping[str, Any]) -> Drawn:
    number = options["number"]
    rows = number or 8
    chosen = {name: options[name] for name in _CHOOSING}
    label = options["label"]
    walks: Mapping[str, Callable[..., Drawn]] = {
        "traverse": drawing.traverse,
        "translate": drawing.translate,
    }
    for name, walk in walks.items():
        if options[name]:
            _refuse_settings(name, {**chosen, **sampler})
            return walk(run, rows, seed=seed)
    if options["interpolate"]:
        return drawing.interpolate(run, rows, seed=seed, **chosen, **sampler)
    if options["inpaint"]:
        return drawing.inpaint(run, rows, seed=seed, **chosen, **sampler)
    if options["prompt"] is not None:
        return drawing.complete(
            run, options["prompt"], number or 4, seed=seed, label=label, **chosen, **sampler
        )
    told = {name: options[name] for name in ("label", "mean", "prior", "given")}
    told["image"] = options["image"] if options["control"] is None else options["control"]
    if options["from_image"] is not None:
        return from_images.draw(
            run,
            options["from_image"],
            number,
            seed=seed,
            label=label,
            control=told["image"],
            strength=options["strength"],
            mask=options["mask"],
            settings={**chosen, **sampler},
        )
    if options["path"] or options["animate"]:
        frames = drawing.FRAMES if options["animate"] else drawing.STATES
        how = {**chosen, **sampler}
        return drawing.path(
            run, number, frames=frames, moving=options["animate"], seed=seed, label=label,
            image=told["image"], given=options["given"], sampler=how,
        )  # fmt: skip
    return drawing.sample(run, number, seed=seed, sampler=sampler, **told, **chosen)


def _refuse_settings(name: str, settings: Mapping[str, Any]) -> None:
    said = [key.replace("_", "-") for key, value in settings.items() if value is not None]
    if said:
        raise ConfigError(f"--{name} draws nothing at random: --{said[0]} means nothing to it")
