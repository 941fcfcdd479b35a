"""Trainer settings and budgets: frozen values that a run records."""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

from phosphene.core.config import check_types, tagged
from phosphene.core.errors import ConfigError, brief
from phosphene.core.ranges import Within, check_declared

__all__ = ["Budget", "TrainSettings"]

MOST_BATCH = 2**24
"""Examples in a batch."""
_MOST_AMOUNT = 1e15  # of seconds, steps or epochs: more than anybody waits for

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "sec": 1.0, "min": 60.0, "hour": 3600.0}


@tagged
@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long to train: seconds, steps or epochs; exactly one of them.

    Budgets in steps or epochs give bit-identical results however often the run is stopped;
    budgets in seconds save the elapsed time and go on with what is left.

    Example:
        >>> Budget.parse("10m"), str(Budget.parse("3000steps"))
        (Budget(seconds=600.0, steps=None, epochs=None), '3000steps')
    """

    seconds: float | None = None
    steps: int | None = None
    epochs: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read ``60s``, ``10m``, ``2h``, ``3000steps`` or ``5epochs``."""
        if not isinstance(text, str):
            raise ConfigError(f"budget is text such as '60s' or '3000steps', got {text!r}")
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]+)\s*", text.lower())
        if match is None:
            raise ConfigError(f"budget {brief(text)} is not like 60s, 10m, 3000steps or 5epochs")
        amount, unit = float(match[1]), match[2].removesuffix("s") if match[2] != "s" else "s"
        if amount <= 0:
            raise ConfigError(f"budget {text!r} must be above zero, like 60s or 3000steps")
        if amount > _MOST_AMOUNT:
            raise ConfigError(f"budget {brief(text)} must be at most {_MOST_AMOUNT:g} of its unit")
        if unit in _SECONDS:
            return cls(seconds=amount * _SECONDS[unit])
        if unit == "step":
            if amount != int(amount):
                raise ConfigError(f"budget {text!r} must be a whole number of steps")
            return cls(steps=int(amount))
        if unit == "epoch":
            return cls(epochs=amount)
        raise ConfigError(f"budget unit {match[2]!r} is unknown; allowed: s, m, h, steps, epochs")

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:g}s"
        return f"{self.steps}steps" if self.steps is not None else f"{self.epochs:g}epochs"


@tagged
@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How to train, whatever the model.

    Args:
        batch_size: Examples in a global batch, over all ranks.
        accumulate: Micro-batches that a rank cuts its share into; the result does not change.
        optimizer: ``adam``, ``adamw``, ``rmsprop``, ``sgd`` or ``lbfgs``.
        lr: Learning rate.
        betas: Decay rates of Adam's moments; the first is the momentum of sgd.
        eps: Added to the denominator of adam, adamw and rmsprop.
        weight_decay: L2 decay, decoupled for ``adamw``.
        clip: Largest gradient norm; None for no clipping.
        schedule: ``constant``, ``linear`` or ``cosine`` decay over the budget.
        warmup: Steps of linear warm-up.
        final_lr: Where a decaying schedule ends, as a fraction of ``lr``.
        ema: Decay of the exponential moving average of the weights; None for none.
        evaluate_every: Steps between validations; None for about once an epoch or twenty a run.
        evaluate_limit: Most validation examples used.
        validation_share: What part of the budget validation may take at most, beside training where
            the budget is in steps and within it where it is a time; None for no bound.
        validation_episodes: Episodes of an agent in a validation; None for 10, or for as few as 3
            where the share holds no more.
        longest_episode: Steps after which an agent's episodes are cut off, in validations, scores
            and films, where neither environment nor limit does it.
        patience: Validations without improvement before stopping; None to never stop early.
        checkpoint_every: Seconds between checkpoints.
        log_every: Steps between logged means.
        strategy: Under torchrun, ``ddp`` replicates the model and ``fsdp`` shards it (FSDP2).
        track: Also write scalars for ``tensorboard`` or ``wandb``; JSONL is always written.
    """

    batch_size: int = 128
    accumulate: int = 1
    optimizer: Literal["adam", "adamw", "rmsprop", "sgd", "lbfgs"] = "adam"
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = 0
    final_lr: float = 0.0
    ema: float | None = None
    evaluate_every: int | None = None
    evaluate_limit: int = 2000
    validation_share: float | None = 0.25
    validation_episodes: int | None = None
    longest_episode: int = 1000
    patience: int | None = None
    checkpoint_every: float = 30.0
    log_every: int = 20
    strategy: Literal["ddp", "fsdp"] = "ddp"
    track: Literal["none", "tensorboard", "wandb"] = "none"

    def __post_init__(self) -> None:
        betas: object = self.betas
        if isinstance(betas, list):
            object.__setattr__(self, "betas", tuple(betas))
        check_types(self)
        for name in ("batch_size", "accumulate", "evaluate_limit", "log_every", "evaluate_every",
                     "patience", "validation_episodes", "longest_episode"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, got {value}")
        check_declared({"batch_size": Annotated[int, Within(1, MOST_BATCH)]}, vars(self))
        if self.final_lr > 1:
            raise ConfigError(f"final_lr is a fraction of lr, at most 1, got {self.final_lr}")
        for name in ("weight_decay", "warmup", "final_lr", "checkpoint_every"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("lr", "eps", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be above zero, got {value}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must lie in 0..1, below 1, got {self.betas}")
        share = self.validation_share
        if share is not None and not 0 < share <= 1:
            raise ConfigError(f"validation_share must be above 0 and at most 1, got {share}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise ConfigError(f"ema must lie between 0 and 1, got {self.ema}")
        if self.batch_size % self.accumulate:
            raise ConfigError(
                f"batch_size {self.batch_size} is not a multiple of accumulate {self.accumulate}"
            )
