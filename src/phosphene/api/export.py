"""Write a part of a model, such as a decoder or a policy, for programs without phosphene."""

import copy
import io
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from phosphene.api.parts.part import PARTS, Made, Part, parts_of
from phosphene.core.errors import ConfigError, EventError, UnknownNameError
from phosphene.evaluate.registry import guarded
from phosphene.train.files import destination, replacing, write_atomically
from phosphene.train.folder import Run

__all__ = ["Format", "export", "part_of"]

Format = Literal["onnx", "torchscript"]
_SUFFIX: dict[str, str] = {"onnx": ".onnx", "torchscript": ".pt"}


def part_of(run: Run, what: str | None = None, rows: int = 2) -> tuple[Part, Made]:
    """A part of a run's model, as a plain module with example inputs.

    Args:
        run: A trained run.
        what: Which part; None for the first that the model has.
        rows: Rows of the example inputs.

    Raises:
        UnknownNameError: No model has a part of that name.
        EventError: The model has no such part, or is conditioned on more than a label.
    """
    if what is not None and PARTS.get(what) is None:
        raise UnknownNameError("part of a model", what, [part.name for part in PARTS])
    model = copy.deepcopy(run.model)  # its checks are taken out
    has = parts_of(model)
    found = next((part for part in has if what in (None, part.name)), None)
    if found is None:
        instead = " and ".join(part.name for part in has)
        instead = f"it has {instead}" if has else "--samples writes samples"
        raise EventError(f"{type(model).__name__} has no {what or 'part'} to export; {instead}")
    return found, guarded("part", found.make, model, rows)


def export(
    run: Run, *, format: Format = "onnx", what: str | None = None, out: str | Path | None = None
) -> Path:
    """Write a part of a run's model as ONNX or TorchScript, for any number of rows.

    The decoder takes ``z`` (and ``label``, for conditional models) and gives ``x``, the mean
    example on the scale of the event's codes; the encoder takes such codes as floats. The policy
    takes ``observation`` and gives ``action``, the best one.

    Args:
        run: A trained run.
        format: ``onnx`` or ``torchscript``.
        what: ``decoder``, ``encoder`` or ``policy``; None for the policy of an agent and the
            decoder of a model.
        out: The file; None for ``export/`` in the run.

    Raises:
        EventError: The model has no such part.
        UnknownNameError: No model has a part of that name.
        ConfigError: ONNX is asked for, and onnx or onnxscript is not installed.
    """
    if format == "onnx":
        _require_onnx()
    part, (module, inputs) = part_of(run, what)
    file = run.place("export") / f"{part.name}{_SUFFIX[format]}" if out is None else out
    path = destination(file)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: numbers of rows are only compared
        if format == "onnx":
            _onnx(module, inputs, path, part)
        else:
            traced = torch.jit.trace(module, inputs, check_trace=False)
            # To memory first: torch's own writer ends the process where a disk is full.
            buffer = io.BytesIO()
            torch.jit.save(torch.jit.freeze(traced), buffer)  # without the other half
            write_atomically(path, buffer.getvalue())
    return path


def _require_onnx() -> None:
    from importlib.util import find_spec

    for package in ("onnx", "onnxscript"):
        if find_spec(package) is None:
            raise ConfigError(
                f"ONNX needs the package {package!r}: pip install 'phosphene[onnx]', or use "
                "--format torchscript"
            )


def _onnx(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, part: Part) -> None:
    import contextlib
    import logging

    names = [part.source, "label"][: len(inputs)]
    rows = torch.export.Dim("n", min=1)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        # Strict, because the plain tracer takes len(x) for a constant.
        program = torch.export.export(
            module, inputs, dynamic_shapes=tuple({0: rows} for _ in inputs), strict=True
        )
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"the {part.name} cannot be written as ONNX ({reason}); --format torchscript may work"
        ) from error
    # The exporter reports its progress on stdout.
    with replacing(path) as aside, contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            program,
            inputs,
            str(aside),
            dynamo=True,
            verbose=False,
            input_names=names,
            output_names=[part.target],
            external_data=False,
        )
