"""TCN: the temporal convolutional network as an autoregressive model."""

from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.ranges import Count, Several
from phosphene.core.settings import setting
from phosphene.generative.autoregressive.layers.temporal import TemporalNetwork, TemporalSteps
from phosphene.generative.autoregressive.sequence import CausalSequence, Steps
from phosphene.nn.context_embedding import ConditionBias
from phosphene.nn.noise import Uniform
from phosphene.nn.settings import DropoutSettings

__all__ = ["TCN"]


class TCN(DropoutSettings, CausalSequence):
    """Residual blocks h_{l+1} = relu(h_l + F_l(h_l)), F two causal convolutions of dilation 2^l.

    By Bai, Kolter and Koltun (2018): weight-normalized convolutions, each followed by a relu and
    spatial dropout (``TemporalBlock``), and a linear map to the
    parameters of each conditional. A value is predicted from the

        RF = 1 + 2 (kernel - 1) (2^blocks - 1)

    values before it.

    Args:
        event: Tokens, audio in mu-law codes, binary codes or reals.
        context: A label or a vector, added in every block, or nothing.

    Raises:
        EventError: The event is an image.
        ConfigError: A number below 1, a kernel below 2, or a probability outside [0, 1).

    Example:
        >>> from phosphene.core.event import Event
        >>> model = TCN(Event.tokens(50, vocabulary=4), blocks=3, kernel=3)
        >>> model.receptive_field
        29
        >>> model.sample(2).shape
        torch.Size([2, 50])
    """

    channels: Count = setting(default=64, help="Channels of every block.")
    blocks: Count = setting(default=4, help="Blocks; the dilation doubles from each to the next.")
    kernel: Several = setting(default=3, help="Taps of a convolution.")

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.has_image_shape:
            self.refuse("it runs along one sequence; pixelcnn and gated-pixelcnn are for images")
        self.network = TemporalNetwork(
            self.channels,
            self.channels,
            blocks=self.blocks,
            kernel=self.kernel,
            dropout=self.dropout,
        )
        self.receptive_field = self.network.receptive_field
        self.condition = ConditionBias(self.context, self.blocks * self.channels)

    def sizes(self) -> tuple[int, int]:
        """Channels, both."""
        return self.channels, self.channels

    def features(self, rows: Tensor, n: int, context: Context | None, u: Uniform | None) -> Tensor:
        """The last block's channels, (D n, channels)."""
        out: Tensor = self.network(rows, n, given=self._given(n, context), uniform=u)
        return out

    def _given(self, n: int, context: Context | None) -> list[Tensor] | None:
        """What the condition adds to each block, (n, channels)."""
        given = self.condition(context)
        return (
            None if given is None else list(given.view(n, len(self.network.blocks), -1).unbind(1))
        )

    def steps(self, n: int, context: Context | None) -> Steps:
        """The network value by value, on rings of fixed size."""
        steps = TemporalSteps(self.network, n, self.event.dimensions, self._given(n, context))
        return steps.slot, steps
