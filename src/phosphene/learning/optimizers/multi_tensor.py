"""What the optimizers share: settings that are checked, and steps of many tensors at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from phosphene.core.config import fits
from phosphene.core.errors import ConfigError, DataError, RunError, UnknownNameError, brief
from phosphene.core.ranges import Within, check_declared

__all__ = ["Betas", "MultiTensor"]

Betas = Annotated[tuple[float, float], Within(0, 1, below=True)]
"""How much of each of two running averages stays from step to step."""
_TOLD = ("params", "param_names", "name", "initial_lr")
"""What a group may say beside its settings; schedulers write the last."""
_WANTED = "parameters must be a list of tensors, or of groups of them"
_CACHED = 1 << 16
"""Numbers of a list of tensors that a processor's cache holds, with gradients and averages."""
Row = tuple[Tensor, ...]


class MultiTensor(torch.optim.Optimizer):
    """Descent on many tensors at once: one call of torch goes through a list of them.

    It is a ``torch.optim.Optimizer``: groups, closures, schedulers and ``state_dict`` work as
    there, and a run that goes on from a saved state is the same bit for bit. A subclass names the
    tensors that it keeps of each parameter (``kept``, zeros at first) and writes its formula in
    :meth:`move`. Its constructor's keywords are the settings that a group may have of its own.

    Args:
        params: Tensors, or groups of them, as torch takes them.
        settings: Of the subclass, with their values.

    Raises:
        UnknownNameError: A group has a setting that there is not.
        ConfigError: A setting has a value that it cannot take.
        DataError: There are no parameters, or a parameter, or a gradient, is not of a kind that is
            handled.
    """

    kept: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        _check(type(self), settings)
        listed = _parameters(params)
        if not listed:
            raise DataError(f"{_WANTED}, got no parameters")
        super().__init__(listed, settings)

    def move(
        self,
        group: Mapping[str, Any],
        t: int,
        params: list[Tensor],
        grads: list[Tensor],
        *kept: list[Tensor],
    ) -> None:
        """Step number t of some parameters, in place."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient.

        Args:
            closure: Computes the loss and its gradients anew, before the step.

        Returns:
            What the closure gave; None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for t, rows in self._together(group):
                for part in _pieces(rows) if self.kept else (rows,):
                    self.move(group, t, *map(list, zip(*part, strict=True)))
        return loss

    def _together(self, group: Mapping[str, Any]) -> Iterable[tuple[int, list[Row]]]:
        """Number of the step to rows that take it: parameter, gradient, and what is kept."""
        found: dict[int, list[Row]] = {}
        t, names, state_of = 0, self.kept, self.state
        for p in group["params"]:
            grad = p.grad
            if grad is None:
                continue
            if not names:
                found.setdefault(t, []).append((p, grad))
                continue
            state = state_of[p] or self._begin(p)
            t = state["step"] = state["step"] + 1
            found.setdefault(t, []).append((p, grad, *[state[name] for name in names]))
        return found.items()

    def _begin(self, p: Tensor) -> dict[str, Any]:
        assert p.grad is not None
        if p.grad.layout != torch.strided:
            raise DataError(f"gradients must be dense, got one of layout {p.grad.layout}")
        state: dict[str, Any] = self.state[p]
        for name in self.kept:
            state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
        state["step"] = 0
        return state

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own."""
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            told = brief(param_group)
            raise DataError(f"a group must be a dict with 'params' and settings, got {told}")
        own = {name: v for name, v in param_group.items() if name not in _TOLD}
        for name in own:
            if name not in self.defaults:
                raise UnknownNameError(f"setting of {type(self).__name__}", name, self.defaults)
        _check(type(self), own)
        params = param_group["params"]
        listed = [params] if isinstance(params, Tensor) else _parameters(params)
        held = {p for group in self.param_groups for p in group["params"]}
        names = {isinstance(p, tuple) and len(p) == 2 for p in listed}
        names |= {"param_names" in group for group in self.param_groups}
        if len(names) > 1:
            raise DataError("either all parameters have a name, as ('a', tensor), or none has")
        for p in (p[1] if True in names else p for p in listed):
            _check_parameter(p, held)
            held.add(p)
        super().add_param_group({**param_group, "params": listed})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another of the same settings was saved; what is loaded is copied.

        Raises:
            RunError: It was saved by another optimizer, of other parameters, or is damaged.
        """
        why = self._unfit(state_dict)
        if why:
            raise RunError(f"what was saved is not the state of this {type(self).__name__}: {why}")
        super().load_state_dict(deepcopy(dict(state_dict)))

    def _unfit(self, saved: Any) -> str:
        """Why a saved state cannot be loaded; empty if it can."""
        if not isinstance(saved, Mapping) or not {"state", "param_groups"} <= saved.keys():
            return "it needs 'state' and 'param_groups'"
        groups, states = saved["param_groups"], saved["state"]
        sizes = [len(group["params"]) for group in self.param_groups]
        if not isinstance(groups, list) or not all(isinstance(g, Mapping) for g in groups):
            return "its groups are no list of settings"
        if [len(group.get("params", ())) for group in groups] != sizes:
            return f"it has other groups than those of {sizes} tensors"
        for group in groups:
            missing = [name for name in self.defaults if name not in group]
            if missing:
                return f"a group has no {missing[0]!r}"
            try:
                _check(type(self), {name: group[name] for name in self.defaults})
            except ConfigError as error:
                return str(error)
        params = [p for group in self.param_groups for p in group["params"]]
        ids = [i for group in groups for i in group["params"]]
        return next(
            filter(
                None, (self._damage(p, states.get(i)) for p, i in zip(params, ids, strict=True))
            ),
            "",
        )

    def _damage(self, p: Tensor, state: Any) -> str:
        """What is wrong with the state of one parameter; empty if nothing is."""
        if not state:
            return ""
        if not isinstance(state.get("step"), int) or state["step"] < 1:
            return f"its number of steps is {brief(state.get('step'))}"
        for name in self.kept:
            value = state.get(name)
            if not isinstance(value, Tensor) or value.shape != p.shape:
                got = tuple(value.shape) if isinstance(value, Tensor) else brief(value)
                return f"{name} of a tensor of shape {tuple(p.shape)} is {got}"
        return ""

    def decayed(
        self, group: Mapping[str, Any], params: list[Tensor], grads: list[Tensor]
    ) -> list[Tensor]:
        """Gradients of loss + weight_decay / 2 |theta|^2."""
        decay = group["weight_decay"]
        return list(torch._foreach_add(grads, params, alpha=decay)) if decay else grads


def _parameters(params: Any) -> list[Any]:
    """What was given as parameters, as a list."""
    if isinstance(params, Tensor | set | str | Mapping) or not isinstance(params, Iterable):
        told = "a tensor" if isinstance(params, Tensor) else brief(params)
        why = "; a set has no order" if isinstance(params, set) else ""
        raise DataError(f"{_WANTED}, got {told}{why}")
    return list(params)


def _check_parameter(p: Any, held: set[Tensor]) -> None:
    if not isinstance(p, Tensor):
        raise DataError(f"{_WANTED}, got one of {brief(p)}")
    if not p.dtype.is_floating_point:
        raise DataError(f"parameters must be real numbers, got a tensor of {p.dtype}")
    if not (p.is_leaf or p.retains_grad):
        raise DataError("a parameter must not be computed from others that have gradients")
    if p in held:
        raise DataError(f"a parameter of shape {tuple(p.shape)} stands twice")


def _pieces(rows: list[Row]) -> Iterator[list[Row]]:
    """Parts of a list that stay in a processor's cache from one pass over them to the next."""
    if rows[0][0].device.type != "cpu":
        yield rows
        return
    part: list[Row] = []
    size = 0
    for row in rows:
        n = row[0].numel()
        if size + n > _CACHED and part:
            yield part
            part, size = [], 0
        part.append(row)
        size += n
    yield part


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind.__init__, include_extras=True)  # type: ignore[misc]


def _check(kind: type, settings: Mapping[str, Any]) -> None:
    hints = _hints(kind)
    check_declared(hints, settings)
    for name, value in settings.items():
        hint = hints[name]
        annotation = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if not fits(value, annotation):
            wanted = "two numbers" if annotation == tuple[float, float] else "a number"
            raise ConfigError(f"{name} must be {wanted}, got {brief(value)}")
