"""Vector-quantized autoencoder: an image as a small grid of discrete codes."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor

from phosphene.core.batch import Batch
from phosphene.core.context import Context
from phosphene.core.errors import EventError
from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.phase import Loss, Phase, Step
from phosphene.core.ranges import Count, Fraction, NotNegative, Within
from phosphene.core.settings import setting
from phosphene.generative.autoencoder.layers.grid import GridDecoder, GridEncoder, grid_of
from phosphene.generative.autoencoder.layers.likelihoods import build_output
from phosphene.generative.autoencoder.layers.quantize import (
    Codebook,
    FiniteScalars,
    Quantized,
    perplexity,
)
from phosphene.generative.autoencoder.settings import GridSettings
from phosphene.nn.settings import DropoutSettings

__all__ = ["VQVAE"]

Quantizer = Literal["ema", "gradient", "finite-scalar"]


class VQVAE(GridSettings, DropoutSettings, Model):
    """An encoder, a codebook of K vectors, a decoder (van den Oord et al., 2017).

        L = -log p(x | z_q) + |stop(z) - e|^2 + beta |z - stop(e)|^2,    z_q = nearest e to z

    summed over the grid; the decoder's gradient passes straight through to the encoder. By default
    the codebook follows its codes by moving averages instead of the second term, and codes that
    nobody uses are moved to where examples are. ``finite-scalar`` has no codebook: d numbers are
    bounded and rounded (Mentzer et al., 2023).

    It has codes and no density: a prior over its codes (``vq-vae-prior``) makes it one.

    Args:
        event: Images of any number of levels.
        context: None; a label belongs to the prior.

    Raises:
        EventError: The event is not an image, or there is a context.
        ConfigError: A setting has a value that it cannot take.

    Example:
        >>> model = VQVAE(Event.image(1, 8, levels=2), codes=8, code_dim=4, hidden=8)
        >>> x = torch.zeros(3, 1, 8, 8)
        >>> model.tokens(x).shape, model.reconstruct(x).shape
        (torch.Size([3, 4]), torch.Size([3, 1, 8, 8]))
    """

    codes: Count = setting(default=64, help="K, the size of the codebook.")
    code_dim: Count = setting(default=16, help="d, the size of the codebook's vectors.")
    quantizer_name: Quantizer = setting(
        alias="quantizer", default="ema", help="``ema``, ``gradient`` or ``finite-scalar``."
    )
    scalar_levels: Annotated[tuple[int, ...], Within(2, 65536)] = setting(
        default=(4, 4, 4), help="Values of each number of ``finite-scalar``; their product is K."
    )
    ema: Fraction = setting(
        default=0.99, help="Decay of the moving averages; 0 is one step of k-means."
    )
    beta: NotNegative = setting(default=0.25, help="Weight of the commitment loss.")
    restart: Fraction = setting(
        default=0.05,
        help="A code is moved when it is used less than this part of the mean; 0 for never.",
    )

    def setup(self) -> None:
        """Make the parts."""
        super().setup()
        if self.event.kind != "image":
            self.refuse("it codes images on a grid")
        if self.context:
            raise EventError(
                f"VQVAE takes no context, got {', '.join(self.context.names)}: "
                "a label belongs to the prior over its codes (vq-vae-prior)"
            )
        self.quantizer: Codebook | FiniteScalars
        if self.quantizer_name == "finite-scalar":
            self.quantizer = FiniteScalars(self.scalar_levels)
        else:
            self.quantizer = Codebook(
                self.codes, self.code_dim, ema=self.ema if self.quantizer_name == "ema" else None
            )
        self.grid = grid_of(self.event.shape, self.downsample)
        self.output = build_output(self.output_name, self.event)
        dim, shape = self.quantizer.dim, self.event.shape
        size: dict[str, Any] = {
            "downsample": self.downsample, "blocks": self.blocks,
            "activation": self.activation_name, "dropout": self.dropout,
        }  # fmt: skip
        self.encoder = GridEncoder(shape, self.hidden, dim, **size)
        self.decoder = GridDecoder(
            shape, self.hidden, dim, self.output.parameters_per_dimension, **size
        )

    @property
    def code_event(self) -> Event:
        """What the codes of one example are: tokens in raster order of the grid."""
        return Event.tokens(self.grid[0] * self.grid[1], self.quantizer.size)

    # -- training ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """Start the decoder at the marginals, and the codebook on the first batch's vectors."""
        with torch.no_grad():
            self.decoder.start_at(self.output.fit(batch.x, batch.moments))
            if isinstance(self.quantizer, Codebook):
                z = self._vectors(batch.x)
                order = batch.uniform(self.grid).reshape(-1).to(z.device)
                self.quantizer.start(z.reshape(-1, z.shape[-1]), order)

    def phases(self) -> Sequence[Phase]:
        """Gradient descent, then the codebook's step."""
        model = Phase("model", list(self.parameters()), self.loss)
        if not isinstance(self.quantizer, Codebook):
            return [model]
        if self.quantizer.ema is None and self.restart == 0:
            return [model]
        return [model, Phase("codebook", [], update=self._follow)]

    def loss(self, batch: Batch) -> Loss:
        """See the class: in nats and squared distance, summed over the grid."""
        uniform = batch.uniform if self.training else None
        quantized: Quantized = self.quantizer(self._vectors(batch.x, uniform=uniform))
        params = self.decoder(quantized.z, uniform)
        reconstruction = self.output.log_prob(params, batch.x)
        codebook = quantized.codebook.flatten(1).sum(1)
        commitment = quantized.commitment.flatten(1).sum(1)
        total = (-reconstruction + codebook + self.beta * commitment).mean()
        used = perplexity(quantized.codes, self.quantizer.size).to(total.dtype)
        terms = {"reconstruction": reconstruction, "commitment": commitment, "perplexity": used}
        return Loss(total, {k: v.detach() for k, v in terms.items()})

    def judged(self, batch: Batch) -> Loss:
        """Minus log p(x|z): distances between codes and what follows them are on no fixed scale."""
        loss = self.loss(batch)
        return Loss(-loss.terms["reconstruction"].mean(), loss.terms)

    @torch.no_grad()
    def _follow(self, batch: Batch, step: Step) -> dict[str, Tensor]:
        """Moving averages of the codes' counts and sums, then restarts of dead codes."""
        assert isinstance(self.quantizer, Codebook)
        z = self._vectors(batch.x)
        z = z.reshape(-1, z.shape[-1]).to(self.quantizer.vectors.dtype)
        counts, sums = self.quantizer.statistics(z)
        self.quantizer.follow(step.all_reduce(counts), step.all_reduce(sums))
        if self.restart == 0:
            return {}
        # Rank 0 has row 0 of the global batch and chooses; the others learn by the reduction.
        first = torch.tensor(float(batch.noise.first == 0), device=z.device, dtype=z.dtype)
        u = batch.uniform((self.quantizer.size,))[0].to(z.device)
        chosen = z[(u * len(z)).long().clamp(max=len(z) - 1)]
        candidates = step.all_reduce(chosen * first) / step.all_reduce(first)
        moved = self.quantizer.restart(candidates, self.restart)
        return {"restarted": moved.to(torch.get_default_dtype())}

    # -- codes ------------------------------------------------------------------------------------

    def _vectors(self, x: Tensor, uniform: object = None) -> Tensor:
        """What the encoder says at each place of the grid (n, h', w', d), before quantization."""
        out: Tensor = self.encoder(self.output.normalize(x, self.dtype), uniform)
        return out

    def tokens(self, x: Tensor) -> Tensor:
        """Codes (n, h' w'), int64, in raster order of the grid."""
        return self.quantizer.nearest(self._vectors(self.event.check(x))).flatten(1)

    def vectors_of(self, tokens: Tensor) -> Tensor:
        """Quantized vectors (n, h', w', d) of codes (n, h' w')."""
        shaped = self.code_event.check(tokens).long().unflatten(1, self.grid)
        return self.quantizer.lookup(shaped).to(self.dtype)

    def encode(self, x: Tensor, context: Context | None = None) -> Tensor:
        """The quantized vectors (n, h', w', d)."""
        return self.vectors_of(self.tokens(x))

    def decode_params(self, z: Tensor) -> Tensor:
        """Parameters (n, parameters, *event.shape) of p(x|z)."""
        out: Tensor = self.decoder(z)
        return out

    def decode(self, z: Tensor, context: Context | None = None) -> Tensor:
        """The mean of p(x|z) on the scale of the codes, (n, *event.shape) floats."""
        return self.output.mean(self.decode_params(z))

    def reconstruct(self, x: Tensor, context: Context | None = None) -> Tensor:
        """``decode(encode(x))``."""
        return self.decode(self.encode(x))

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """The conditional log p(x|z) (n,) in nats."""
        return self.output.log_prob(self.decode_params(z), self.event.check(x))
