"""Optional sinks: TensorBoard when it is installed, wandb when it is asked for."""

from pathlib import Path
from typing import Any

from phosphene.core.errors import ConfigError
from phosphene.core.progress import Evaluated, StepEnd, TrainingEvent

__all__ = ["TensorBoardSink", "WandbSink"]


def _scalars(event: TrainingEvent) -> dict[str, float]:
    if isinstance(event, StepEnd):
        return {f"train/{k}": v for k, v in event.terms.items()}
    if isinstance(event, Evaluated):
        return {f"validation/{k}": v for k, v in event.scores.items()}
    return {}


class TensorBoardSink:
    """Writes scalars for TensorBoard into ``RUN/tensorboard``.

    Raises:
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError(
                "tracking with tensorboard needs pip install 'phosphene[track]'"
            ) from None
        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def __call__(self, event: TrainingEvent) -> None:
        """Write the scalars of an event."""
        for name, value in _scalars(event).items():
            assert isinstance(event, StepEnd | Evaluated)
            self._writer.add_scalar(name, value, event.step, event.seconds)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


class WandbSink:
    """Logs scalars to Weights and Biases, offline unless the user has logged in.

    Raises:
        ConfigError: wandb is not installed.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise ConfigError("tracking with wandb needs pip install 'phosphene[track]'") from None
        self._run = wandb.init(project="phosphene", name=folder.name, dir=folder, config=config)

    def __call__(self, event: TrainingEvent) -> None:
        """Log the scalars of an event."""
        scalars = _scalars(event)
        if scalars:
            assert isinstance(event, StepEnd | Evaluated)
            self._run.log(scalars, step=event.step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
