"""Write a decoder, an encoder or a policy for programs that have no phosphene."""

import io
import warnings
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, EventError
from phosphene.core.event import Event
from phosphene.core.protocols import Acts, Decodes, Encodes
from phosphene.data.dataset import Dataset
from phosphene.evaluate.training_data import data_of
from phosphene.train.files import destination, replacing, write_atomically
from phosphene.train.folder import Run, load

__all__ = ["Format", "Part", "export", "part_of"]

Format = Literal["onnx", "torchscript"]
Part = Literal["decoder", "encoder", "policy"]
_SUFFIX: dict[str, str] = {"onnx": ".onnx", "torchscript": ".pt"}
_OUTPUT: dict[str, tuple[str, str]] = {
    "decoder": ("z", "x"), "encoder": ("x", "z"), "policy": ("observation", "action"),
}  # fmt: skip


class _Decoder(nn.Module):
    """z (n, ...) and, for conditional models, labels (n,) to mean examples on the codes' scale."""

    def __init__(self, model: Decodes) -> None:
        super().__init__()
        self.model = model

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if label is None:
            decoded: Tensor = self.model.decode(z)
        else:
            decoded = self.model.decode(z, Context(label=label))
        return decoded


class _Encoder(nn.Module):
    """Codes x (n, ...) as floats and, for conditional models, labels (n,) to codes z."""

    def __init__(self, model: Encodes) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        if label is None:
            encoded: Tensor = self.model.encode(x)
        else:
            encoded = self.model.encode(x, Context(label=label))
        return encoded


class _Policy(nn.Module):
    """Observations (n, ...) to an agent's best actions."""

    def __init__(self, agent: Acts) -> None:
        super().__init__()
        self.agent = agent

    def forward(self, observation: Tensor) -> Tensor:
        action: Tensor = self.agent.act(observation)
        return action


class _Unchecked(Event):
    """An event that trusts its batches: checks of values cannot be part of a traced program."""

    def check(self, x: Tensor) -> Tensor:
        return x


class _UncheckedContext:
    """Stands in for a ContextSpec in a traced program, for the same reason."""

    def __init__(self, spec: Any) -> None:
        self._spec = spec

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spec, name)

    def __bool__(self) -> bool:
        return bool(self._spec)

    def check(self, context: Context | None, n: int, *_: object, **__: object) -> Context:
        return context if context is not None else Context()


def parts_of(model: object) -> tuple[Part, ...]:
    """What can be exported of a model, by what it can do."""
    if isinstance(model, Acts):
        return ("policy",)
    return (
        ("decoder", "encoder") if isinstance(model, Encodes) and isinstance(model, Decodes) else ()
    )


def part_of(run: Run, what: Part, rows: int = 2) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The decoder, encoder or policy of a run as a plain module, and example inputs for it.

    Args:
        run: A trained run whose model encodes and decodes, or acts.
        what: Which part.
        rows: Rows of the example inputs.

    Raises:
        EventError: The model does not encode and decode, or is conditioned on more than a label.
    """
    model = load(run.path)  # its own copy: its checks are taken out below
    has = parts_of(model)
    if what not in has:
        instead = f"it has {' and '.join(has)}" if has else "--samples writes samples"
        raise EventError(f"{type(model).__name__} has no {what} to export; {instead}")
    if what == "policy":
        return _Policy(model).eval(), (model.spec.observation_example(rows),)
    if model.context.names not in ((), ("label",)):
        raise EventError(f"a model conditioned on {model.context.names[0]!r} cannot be exported")
    test: Dataset = data_of(run, "test")
    x, context = test.take(torch.arange(rows))
    given = context if model.context else None
    with torch.no_grad():
        z = model.encode(x) if given is None else model.encode(x, given)
    event = model.event
    model.event = _Unchecked(event.kind, event.shape, event.levels)
    model.context = _UncheckedContext(model.context)
    module = _Decoder(model) if what == "decoder" else _Encoder(model)
    first = z if what == "decoder" else x.float()
    labels = () if given is None or given.label is None else (given.label,)
    return module.eval(), (first, *labels)


def export(
    run: Run, *, format: Format = "onnx", what: Part | None = None, out: str | Path | None = None
) -> Path:
    """Write the decoder, encoder or policy of a run as ONNX or TorchScript, for any number of rows.

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
        EventError: The model has no such half.
        ConfigError: ONNX is asked for, and onnx or onnxscript is not installed.
    """
    if format == "onnx":
        _require_onnx()
    what = what or (*parts_of(run.model), "decoder")[0]
    module, inputs = part_of(run, what)
    path = destination(run.place("export") / f"{what}{_SUFFIX[format]}" if out is None else out)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: numbers of rows are only compared
        if format == "onnx":
            _onnx(module, inputs, path, what)
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


def _onnx(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, what: Part) -> None:
    import contextlib
    import logging

    source, target = _OUTPUT[what]
    names = [source, "label"][: len(inputs)]
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
            f"the {what} cannot be written as ONNX ({reason}); --format torchscript may work"
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
            output_names=[target],
            external_data=False,
        )
