"""Groups of settings that autoregressive models share."""

from typing import Literal

from phosphene.core.config import Configured
from phosphene.core.errors import ConfigError
from phosphene.core.ranges import Count, Natural
from phosphene.core.settings import setting
from phosphene.nn.scalar_distributions import ConditionalName

__all__ = [
    "ConditionalSettings",
    "InputSettings",
    "OrdersSettings",
    "RecurrentSettings",
    "WindowSettings",
]


class ConditionalSettings(Configured):
    """The distribution of one dimension given those before it."""

    conditional_name: ConditionalName = setting(
        alias="conditional",
        default="auto",
        help="The distribution of one value: ``auto``, ``bernoulli``, ``categorical``, "
        "``logistic-bins``, ``gaussian-mixture`` or ``logistic-mixture``.",
    )
    components: Count = setting(default=10, help="Components, where the conditional is a mixture.")


class InputSettings(Configured):
    """How codes are shown to a network."""

    inputs: str = setting(
        default="auto",
        help="What a value is shown as: ``scaled`` to one number, ``one-hot``, or ``auto``: "
        "one-hot where the conditional is categorical.",
    )

    def setup(self) -> None:
        """Refuse what is not a way to show a code."""
        if self.inputs not in ("auto", "scaled", "one-hot"):
            raise ConfigError(f"inputs must be 'auto', 'scaled' or 'one-hot', got {self.inputs!r}")
        super().setup()


class OrdersSettings(Configured):
    """Orders of generation, each a member of a mixture."""

    order_count: Count = setting(
        alias="orders",
        default=1,
        help="How many orders: raster, and random ones beside it; the model is their mixture.",
    )


class WindowSettings(Configured):
    """Windows of masked convolutions over images."""

    channels: Count = setting(default=32, help="Channels of the masked convolutions.")
    kernel: int = setting(default=3, help="Side of the convolutions' windows, odd.")
    first_kernel: int = setting(default=7, help="Side of the first layer's window, odd, 3 or more.")
    head_layers: Natural = setting(
        alias="head", default=1, help="Layers of 1x1 convolutions before the output."
    )


class RecurrentSettings(Configured):
    """LSTMs over the pixels of an image."""

    hidden: Count = setting(
        default=32,
        help="Features h of a state; maps between layers have 2 h. Rounded up to a multiple of c.",
    )
    layer: Literal["row", "diagonal"] = setting(
        default="diagonal", help="``row`` (Row LSTM) or ``diagonal`` (Diagonal BiLSTM)."
    )
    layers: Count = setting(default=1, help="How many LSTM layers, in each network.")
    kernel: int = setting(
        default=7, help="Side of the first, masked convolution's window, odd, 3 or more."
    )
