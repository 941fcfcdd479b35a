"""The one module that calls torch.distributed: processes, wrappers, reductions."""

import gc
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from importlib import import_module
from typing import Any, Literal, NoReturn, cast

import torch
from torch import Tensor, nn

from phosphene.core.batch import Batch
from phosphene.core.errors import ConfigError, brief
from phosphene.core.phase import Loss

__all__ = ["Runtime", "Turn", "choose_device", "make_contiguous"]

Strategy = Literal["ddp", "fsdp"]


def choose_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.split(":")[0] not in ("cpu", "cuda", "mps"):
        raise ConfigError(f"device {name!r} is unknown; allowed: auto, cpu, cuda, mps")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError("device 'cuda' is not available here; allowed: auto, cpu")
    return torch.device(name)


class Turn(nn.Module):
    """A phase's loss as a module, so that DDP and FSDP see a forward pass.

    Calling ``ddp.module.loss`` would skip the reduction silently; the wrapper's own forward is the
    loss.
    """

    def __init__(self, model: nn.Module, loss: Callable[[Batch], Loss]) -> None:
        super().__init__()
        self.model = model
        self.function = loss

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The total and the terms; wrappers find tensors in tuples and dictionaries."""
        loss = self.function(batch)
        if not isinstance(loss, Loss):
            self._refuse(f"gives {brief(type(loss).__name__)}, and must give a phosphene.Loss")
        if loss.total.ndim > 0:
            shape = tuple(loss.total.shape)
            self._refuse(f"has a total of shape {shape}, and must be one number, a mean")
        if torch.is_grad_enabled() and not loss.total.requires_grad:
            self._refuse("depends on no parameter: its total has no gradient")
        return loss.total, loss.terms

    def _refuse(self, why: str) -> NoReturn:
        name = getattr(self.function, "__name__", "loss")
        raise ConfigError(f"{name} of {type(self.model).__name__} {why}")


class Runtime:
    """This process among the others.

    Started by ``torchrun``, it joins the process group (NCCL on CUDA, gloo otherwise); alone, it
    costs nothing and every reduction is the identity.

    Args:
        device: As ``--device``.
        strategy: ``ddp`` replicates the model, ``fsdp`` shards it (FSDP2).
    """

    def __init__(self, device: str = "auto", strategy: Strategy = "ddp") -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.strategy = strategy
        self.device = choose_device(device)
        self._owns_group = False
        if self.device.type == "cuda" and self.world > 1:
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
            torch.cuda.set_device(self.device)
        if self.distributed and not torch.distributed.is_initialized():
            # Modules imported once the group exists keep it as the default of their arguments.
            import_module("torch.distributed.nn.functional")

            backend = "nccl" if self.device.type == "cuda" else "gloo"
            torch.distributed.init_process_group(backend)
            self._owns_group = True

    @property
    def distributed(self) -> bool:
        """Whether there are other processes."""
        return self.world > 1

    @property
    def sharded(self) -> bool:
        """Whether parameters are spread over processes."""
        return self.strategy == "fsdp" and self.distributed

    @property
    def main(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def close(self) -> None:
        """Leave the process group that this runtime joined, and end its threads.

        A thread that still lets go of a tensor while Python ends aborts the process, and the
        threads live as long as anything holds the group: drop wrapped models before.
        """
        if not self._owns_group:
            return
        self._owns_group = False
        gc.collect()
        if self.sharded:
            _forget_shardings()
        torch.distributed.destroy_process_group()

    def shard(self, model: nn.Module) -> None:
        """Spread the parameters over processes, in place (FSDP2)."""
        if not self.sharded:
            return
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        make_contiguous(model.parameters())  # FSDP2 takes no others
        mesh = init_device_mesh(self.device.type, (self.world,))
        fully_shard(model, mesh=mesh, reshard_after_forward=True)

    def wrap(self, model: nn.Module, loss: Callable[[Batch], Loss]) -> nn.Module:
        """The phase's loss with gradients averaged over ranks.

        Call it while only the phase's own parameters require gradients.
        """
        turn = Turn(model, loss)
        if not self.distributed:
            return turn
        if self.sharded:
            return _Unsharded(model, turn)
        from torch.nn.parallel import DistributedDataParallel

        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(turn, device_ids=ids, broadcast_buffers=False)

    def no_sync(self, wrapped: nn.Module, last: bool) -> AbstractContextManager[Any]:
        """Leave the reduction to the last micro-batch."""
        if not self.distributed or last:
            return nullcontext()
        if isinstance(wrapped, _Unsharded):
            return wrapped.no_sync()
        return cast(AbstractContextManager[Any], cast(Any, wrapped).no_sync())

    def mean(self, value: Tensor) -> Tensor:
        """Mean over ranks."""
        return self.sum(value) / self.world if self.distributed else value

    def weighted(self, value: Tensor, rows: float) -> Tensor:
        """Mean over the examples of all ranks, of means over so many of each.

        Ranks' shares of a batch differ where their number does not divide it.
        """
        if not self.distributed:
            return value
        exact = value.detach().double() * rows
        count = torch.tensor([float(rows)], dtype=torch.float64, device=exact.device)
        both = self.sum(torch.cat([exact.reshape(-1), count]))
        return (both[:-1] / both[-1]).reshape(value.shape).to(value.dtype)

    def sum(self, value: Tensor) -> Tensor:
        """Sum over ranks."""
        if self.distributed:
            value = value.clone()
            torch.distributed.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank: ranks must agree on when to stop or save."""
        if not self.distributed:
            return flag
        value = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(value, op=torch.distributed.ReduceOp.MAX)
        return bool(value)

    def first(self, value: float) -> float:
        """Rank 0's value, on every rank."""
        if not self.distributed:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(tensor, 0)
        return float(tensor)

    def told(self, text: str) -> str:
        """Rank 0's text, on every rank."""
        if not self.distributed:
            return text
        size = int(self.first(len(text.encode(errors="surrogateescape"))))
        told = torch.zeros(size, dtype=torch.uint8, device=self.device)
        if self.main:
            raw = bytearray(text.encode(errors="surrogateescape"))
            told = torch.frombuffer(raw, dtype=torch.uint8).to(self.device)
        torch.distributed.broadcast(told, 0)
        return bytes(told.tolist()).decode(errors="surrogateescape")

    def gather(self, value: int) -> tuple[int, ...]:
        """Every rank's value, in the order of ranks."""
        if not self.distributed:
            return (value,)
        own = torch.zeros(self.world, dtype=torch.int64, device=self.device)
        own[self.rank] = value
        return tuple(self.sum(own).tolist())

    def join(self, value: Tensor, dim: int = 0) -> Tensor:
        """The ranks' parts of a tensor put together along a dimension, on every rank."""
        if not self.distributed:
            return value
        own = value.movedim(dim, 0).contiguous()
        sizes = self.gather(len(own))
        padded = own.new_zeros(max(sizes), *own.shape[1:])
        padded[: len(own)] = own
        plain = padded.view(torch.uint8) if padded.dtype == torch.bool else padded
        parts = [torch.empty_like(plain) for _ in sizes]
        torch.distributed.all_gather(parts, plain)
        rows = [part[:n] for part, n in zip(parts, sizes, strict=True)]
        return torch.cat(rows).view(own.dtype).movedim(0, dim)

    def whole(self, value: Tensor) -> Tensor:
        """A tensor whose rows are sharded over ranks, put together on the CPU of each.

        By one plain collective: torch's own way, asynchronous functional ones, was seen to wait
        forever on gloo while other processes kept the cores busy.
        """
        from torch.distributed.tensor import DTensor

        if not isinstance(value, DTensor):
            return value.detach().cpu()
        own = value.to_local().detach()
        rows = -(-value.shape[0] // self.world)  # of every rank but the last ones
        padded = own.new_zeros(rows, *value.shape[1:])
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in range(self.world)]
        torch.distributed.all_gather(parts, padded)
        return torch.cat(parts)[: value.shape[0]].cpu()

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.distributed:
            torch.distributed.barrier()


def make_contiguous(parameters: Iterable[nn.Parameter]) -> None:
    """Lay parameters out row by row, in place, for what cannot take channels-last ones."""
    for parameter in parameters:
        parameter.data = parameter.data.contiguous()


def _forget_shardings() -> None:
    """Empty torch's caches of shardings: each keeps its mesh, and so the process group.

    They are torch's private matter and may be named otherwise in another version, where the group
    then lives until Python ends.
    """
    with suppress(ImportError, AttributeError):
        cast(Any, import_module("torch.distributed.tensor.debug"))._clear_sharding_prop_cache()
        redistribute = cast(Any, import_module("torch.distributed.tensor._redistribute"))
        redistribute.clear_redistribute_planner_cache()
        redistribute._gen_transform_infos.cache_clear()
        costs = cast(Any, import_module("torch.distributed.tensor._collective_utils"))
        costs.MeshTopoInfo.build_from_mesh.cache_clear()
    gc.collect()


class _Unsharded(nn.Module):
    """Runs a phase's loss inside the sharded model's forward, where parameters are whole.

    FSDP2 gathers parameters around methods that it was told of; the loss is made such a method of
    the model, under a name of its own.
    """

    def __init__(self, model: nn.Module, turn: Turn) -> None:
        super().__init__()
        from torch.distributed.fsdp import register_fsdp_forward_method

        self._fsdp = [model]  # a list, so that the model is not registered a second time
        self._name = f"_turn_{id(turn)}"
        object.__setattr__(model, self._name, turn.forward)
        register_fsdp_forward_method(model, self._name)

    def forward(self, batch: Batch) -> Any:
        return getattr(self._fsdp[0], self._name)(batch)

    def no_sync(self) -> AbstractContextManager[Any]:
        from contextlib import contextmanager

        model = cast(Any, self._fsdp[0])

        @contextmanager
        def hold() -> Any:
            model.set_requires_gradient_sync(False)
            try:
                yield
            finally:
                model.set_requires_gradient_sync(True)

        return hold()
