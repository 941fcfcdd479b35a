"""The two halves of an autoencoder: from codes to examples, and from examples to codes."""

from typing import Any

import torch
from torch import Tensor, nn

from phosphene.api.parts.part import PARTS, Made, Part
from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.protocols import Decodes, Encodes

__all__: list[str] = []


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


@torch.no_grad()
def _half(model: Any, rows: int, decoder: bool) -> Made:
    """One half, and inputs of the right shape: which examples they stand for does not matter."""
    if model.context.names not in ((), ("label",)):
        raise EventError(f"a model conditioned on {model.context.names[0]!r} cannot be exported")
    event = model.event
    x = torch.zeros(rows, *event.shape, dtype=torch.long if event.discrete else torch.float32)
    labels = (torch.zeros(rows, dtype=torch.long),) if model.context else ()
    z = model.encode(x, Context(label=labels[0])) if labels else model.encode(x)
    model.event = _Unchecked(event.kind, event.shape, event.levels)
    model.context = _UncheckedContext(model.context)
    module = _Decoder(model) if decoder else _Encoder(model)
    return module.eval(), (z if decoder else x.float(), *labels)


def _decoder(model: Any, rows: int) -> Made:
    return _half(model, rows, decoder=True)


def _encoder(model: Any, rows: int) -> Made:
    return _half(model, rows, decoder=False)


BOTH = (Encodes, Decodes)
PARTS.add(Part(name="decoder", source="z", target="x", needs=BOTH, make=_decoder, place=20))
PARTS.add(Part(name="encoder", source="x", target="z", needs=BOTH, make=_encoder, place=21))
