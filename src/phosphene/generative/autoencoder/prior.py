"""A density of latents, fitted after training: one Gaussian, or a mixture of them."""

import math
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError, DataError, UnknownNameError
from phosphene.core.protocols import Encodes, Posterior
from phosphene.core.rng import generator as seeded_generator

__all__ = ["LatentPrior", "fit_prior"]

PriorKind = Literal["normal", "mixture"]


class LatentPrior:
    """A mixture of Gaussians with full covariances, p(z) = sum_k w_k N(z; m_k, S_k).

    An autoencoder's latents, and a VAE's averaged posterior, are not N(0, I); drawing z from a
    density fitted to them gives better samples (Ghosh et al., 2020). One component is the
    maximum-likelihood Gaussian; several are fitted by expectation-maximisation (Dempster, Laird and
    Rubin, 1977) from a k-means++ start (Arthur and Vassilvitskii, 2007). Everything is float64.

    Args:
        weights: Mixture weights (k,), which sum to 1.
        means: Means (k, d).
        covariances: Covariances (k, d, d).

    Example:
        >>> z = torch.randn(500, 2, generator=torch.Generator().manual_seed(0)) * 3
        >>> prior = LatentPrior.fit(z, "mixture", components=2)
        >>> prior.sample(5).shape, prior.log_prob(z).shape
        (torch.Size([5, 2]), torch.Size([500]))
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        self.weights, self.means = weights.double(), means.double()
        self.covariances = covariances.double()
        self.roots = torch.linalg.cholesky(self.covariances)

    @property
    def latent_dim(self) -> int:
        """The size of z."""
        return int(self.means.shape[1])

    @classmethod
    def fit(
        cls,
        z: Tensor,
        kind: PriorKind = "mixture",
        components: int = 10,
        seed: int = 0,
        *,
        iterations: int = 100,
        tolerance: float = 1e-4,
        ridge: float = 1e-6,
    ) -> "LatentPrior":
        """Fit to latents.

        Args:
            z: Latents (n, d), or (n, ...), flattened.
            kind: ``normal`` (one component) or ``mixture``.
            components: Number of components of a mixture.
            seed: Seeds the start of the mixture.
            iterations: Most steps of expectation-maximisation.
            tolerance: Stop when a step gains fewer nats per example than this.
            ridge: Added to the covariances' diagonals, relative to the latents' mean variance.

        Raises:
            UnknownNameError: There is no prior of that kind.
            DataError: There are fewer latents than components.
            ConfigError: ``components`` is below 1.
        """
        if kind not in ("normal", "mixture"):
            raise UnknownNameError("prior", kind, ("normal", "mixture"))
        k = 1 if kind == "normal" else components
        if k < 1:
            raise ConfigError(f"components must be at least 1, got {components}")
        z = z.detach().flatten(1).double()
        if len(z) <= k:
            raise DataError(f"a prior of {k} components needs more than {k} latents, got {len(z)}")
        floor = ridge * max(float(z.var(0, correction=0).mean()), 1e-12)
        prior = cls._maximized(z, _nearest_center(z, k, seed), floor)
        before = -math.inf
        for _ in range(iterations if k > 1 else 0):
            joint = prior._joint(z)
            total = torch.logsumexp(joint, 1, keepdim=True)
            after = float(total.mean())
            if after - before < tolerance:
                break
            prior, before = cls._maximized(z, torch.exp(joint - total), floor), after
        return prior

    @classmethod
    def _maximized(cls, z: Tensor, responsibilities: Tensor, floor: float) -> "LatentPrior":
        """The M step: weighted moments."""
        counts = responsibilities.sum(0) + 1e-10
        means = responsibilities.T @ z / counts[:, None]
        eye = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
        covariances = torch.stack(
            [
                (r[:, None] * (z - m)).T @ (z - m) / c + floor * eye
                for r, m, c in zip(responsibilities.T, means, counts, strict=True)
            ]
        )
        return cls(counts / counts.sum(), means, covariances)

    def _joint(self, z: Tensor) -> Tensor:
        """log w_k + log N(z; m_k, S_k), (n, k)."""
        columns = []
        for w, m, root in zip(self.weights, self.means, self.roots, strict=True):
            white = torch.linalg.solve_triangular(root, (z - m).T, upper=False)
            half_log_det = root.diagonal().log().sum()
            constant = 0.5 * z.shape[1] * math.log(2.0 * math.pi)
            columns.append(w.log() - 0.5 * white.square().sum(0) - half_log_det - constant)
        return torch.stack(columns, 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats of latents (..., d): (...), float64."""
        flat = z.reshape(-1, self.latent_dim).to(self.means)
        return torch.logsumexp(self._joint(flat), 1).view(z.shape[:-1])

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (n, d) in torch's default float type."""
        choice = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        eps = torch.randn(
            n, self.latent_dim, dtype=torch.float64, device=self.means.device, generator=generator
        )
        z: Tensor = self.means[choice] + (self.roots[choice] @ eps[..., None]).squeeze(-1)
        return z.to(torch.get_default_dtype())

    def save(self, path: str | Path) -> None:
        """Write the tensors as a safetensors file."""
        from safetensors.torch import save_file

        state = {"weights": self.weights, "means": self.means, "covariances": self.covariances}
        save_file({name: t.contiguous() for name, t in state.items()}, path)

    @classmethod
    def load(cls, path: str | Path) -> "LatentPrior":
        """Read what :meth:`save` wrote."""
        from safetensors.torch import load_file

        state = load_file(path)
        return cls(state["weights"], state["means"], state["covariances"])

    def to(self, device: torch.device | str) -> "LatentPrior":
        """The prior on another device."""
        return LatentPrior(
            self.weights.to(device), self.means.to(device), self.covariances.to(device)
        )


def _nearest_center(z: Tensor, k: int, seed: int) -> Tensor:
    """One-hot assignments (n, k) to centres by k-means++ and ten Lloyd steps."""
    g = seeded_generator(seed)
    centers = z[torch.randint(len(z), (1,), generator=g).to(z.device)]
    while len(centers) < k:
        distance = torch.cdist(z, centers).square().amin(1).cpu()
        if float(distance.sum()) == 0.0:  # fewer distinct latents than components
            distance = torch.ones_like(distance)
        centers = torch.cat((centers, z[torch.multinomial(distance, 1, generator=g).to(z.device)]))
    for _ in range(10):
        hot = torch.nn.functional.one_hot(torch.cdist(z, centers).argmin(1), k).to(z.dtype)
        count = hot.sum(0)[:, None]
        centers = torch.where(count > 0, hot.T @ z / count.clamp(min=1), centers)
    return torch.nn.functional.one_hot(torch.cdist(z, centers).argmin(1), k).to(z.dtype)


@torch.no_grad()
def fit_prior(
    model: Encodes,
    x: Tensor,
    context: Context | None = None,
    *,
    kind: PriorKind = "mixture",
    components: int = 10,
    seed: int = 0,
    rows: int = 1000,
) -> LatentPrior:
    """Fit a prior to a model's latents of the training examples.

    A model with a posterior is fitted to one draw of z from q(z|x) for each example, which is a
    sample of its averaged posterior; others to their codes.

    Args:
        model: An autoencoder or VAE.
        x: Training examples (n, *event.shape).
        context: Their context.
        kind: ``normal`` or ``mixture``.
        components: Number of components of a mixture.
        seed: Seeds the draws and the mixture's start.
        rows: Examples encoded at once.
    """
    g = seeded_generator(seed, 1)
    latents = []
    for first in range(0, len(x), rows):
        part = slice(first, first + rows)
        c = None if context is None else context[part]
        if isinstance(model, Posterior):
            mu, logvar = model.posterior(x[part], c)
            eps = torch.randn(mu.shape, generator=g, dtype=mu.dtype)
            latents.append(mu + torch.exp(0.5 * logvar) * eps.to(mu.device))
        else:
            latents.append(model.encode(x[part], c))
    return LatentPrior.fit(torch.cat(latents), kind, components, seed)
