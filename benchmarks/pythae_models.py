"""pythae's VAE with the sizes and the weights of ours. Importing this module imports pythae."""

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from pythae.models import IWAE, IWAEConfig, VAEConfig
from pythae.models import VAE as PythaeVAE
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import Tensor, nn

from phosphene.generative.autoencoder.layers.likelihoods import soft_clamp
from phosphene.generative.autoencoder.vae import VAE
from phosphene.nn.mlp import MLP

__all__ = ["bounded", "copy_weights", "like_ours", "noise_given", "quiet"]


class Encoder(BaseEncoder):
    """A multilayer perceptron with two heads, as a user of pythae writes it."""

    def __init__(self, dimensions: int, hidden: tuple[int, ...], latent_dim: int) -> None:
        super().__init__()
        self.layers = _perceptron((dimensions, *hidden))
        self.embedding = nn.Linear(hidden[-1], latent_dim)
        self.log_var = nn.Linear(hidden[-1], latent_dim)

    def forward(self, x: Tensor) -> ModelOutput:
        """Mean and log-variance of q(z|x)."""
        h = self.layers(x.reshape(len(x), -1))
        return ModelOutput(embedding=self.embedding(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    """The mirrored perceptron, which ends in a sigmoid."""

    def __init__(self, latent_dim: int, hidden: tuple[int, ...], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.layers = _perceptron((latent_dim, *hidden))
        self.head = nn.Linear(hidden[-1], torch.Size(shape).numel())

    def forward(self, z: Tensor) -> ModelOutput:
        """Probabilities of code 1."""
        out = torch.sigmoid(self.head(self.layers(z)))
        return ModelOutput(reconstruction=out.reshape(len(z), *self.shape))


class OurEncoder(BaseEncoder):
    """Our network, of whatever kind, inside pythae."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> ModelOutput:
        """Mean and log-variance of q(z|x)."""
        mu, logvar = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mu, log_covariance=logvar)


class OurDecoder(BaseDecoder):
    """Our network, of whatever kind, inside pythae."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> ModelOutput:
        """Probabilities of code 1."""
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z).squeeze(1)))


def _perceptron(widths: tuple[int, ...]) -> nn.Sequential:
    layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers)


def like_ours(model: VAE, *, default_networks: bool = False) -> PythaeVAE:
    """Pythae's VAE (its IWAE, for several particles) with the sizes and weights of ours.

    Args:
        model: A Bernoulli VAE without a context.
        default_networks: Use pythae's own perceptrons, which have one hidden layer of 512.
    """
    from copy import deepcopy

    shape, d = model.event.shape, model.latent_dim
    cls, config = PythaeVAE, VAEConfig(input_dim=shape, latent_dim=d, reconstruction_loss="bce")
    if model.particles > 1:
        config = IWAEConfig(**vars(config) | {"number_samples": model.particles})
        cls = IWAE
    if default_networks:
        peer = cls(config)
    elif isinstance(model.encoder, MLP):
        hidden = tuple(layer.out_features for layer in model.encoder.layers[:-1])
        encoder = Encoder(model.event.dimensions, hidden, d)
        peer = cls(config, encoder, Decoder(d, hidden[::-1], shape))
    else:
        networks = (OurEncoder(deepcopy(model.encoder)), OurDecoder(deepcopy(model.decoder)))
        peer = cls(config, *networks)
    copy_weights(model, peer)
    peer.device = torch.device("cpu")
    return peer


@torch.no_grad()
def copy_weights(ours: VAE, peer: PythaeVAE) -> None:
    """Give the peer our weights; both then have the same number of parameters."""
    if isinstance(peer.encoder, OurEncoder):
        peer.encoder.network.load_state_dict(ours.encoder.state_dict())
        peer.decoder.network.load_state_dict(ours.decoder.state_dict())
    else:
        *body, head = ours.encoder.layers
        mu, logvar = (
            _linear(w, b) for w, b in zip(head.weight.chunk(2), head.bias.chunk(2), strict=True)
        )
        _copy([*body, mu, logvar], peer.encoder)
        _copy(list(ours.decoder.layers), peer.decoder)
    counts = [sum(p.numel() for p in m.parameters()) for m in (ours, peer)]
    assert counts[0] == counts[1], f"{counts} parameters"


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def _copy(layers: list[nn.Linear], network: nn.Module) -> None:
    own = [m for m in network.modules() if isinstance(m, nn.Linear)]
    for layer, target in zip(layers, own, strict=True):
        target.load_state_dict(layer.state_dict())


@contextlib.contextmanager
def bounded(peer: PythaeVAE) -> Iterator[None]:
    """Give the peer our smooth limit on log-variances, for comparisons only, never for timing."""

    def limit(_module: nn.Module, _inputs: object, out: ModelOutput) -> ModelOutput:
        return ModelOutput(
            embedding=out.embedding, log_covariance=soft_clamp(out.log_covariance, 14.0)
        )

    handle = peer.encoder.register_forward_hook(limit)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def noise_given(peer: PythaeVAE, eps: Callable[[tuple[int, ...]], Tensor]) -> Iterator[None]:
    """Let the peer reparametrize with this noise, asked for by shape."""

    def sample(mu: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        noise = eps(tuple(std.shape))
        return mu + noise * std, noise

    peer._sample_gauss = sample
    try:
        yield
    finally:
        del peer._sample_gauss


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the peer's messages and progress bars: no terminal is timed."""
    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
