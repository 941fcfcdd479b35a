"""Numbers about latent spaces: active units, aggregate posterior, paths, linear probes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from phosphene.core.context import Context
from phosphene.core.errors import ConfigError
from phosphene.core.model import Model
from phosphene.core.protocols import Decodes, Encodes
from phosphene.core.rng import generator
from phosphene.evaluate.batches import batches, evaluating
from phosphene.evaluate.features import Features
from phosphene.evaluate.missing_capability import lacking
from phosphene.evaluate.neighbors import nearest_distance

__all__ = ["active_units", "aggregate_mmd", "encode", "linear_probe", "path_distance"]


def encode(model: Model, x: Tensor, context: Context | None = None, rows: int = 512) -> Tensor:
    """Codes of every example, flattened to (n, d), float64, in batches."""
    if not isinstance(model, Encodes):
        raise lacking(model, Encodes)
    parts = []
    with evaluating(model):
        for part, c in batches(model, x, context, rows):
            parts.append(model.encode(part, c).double().flatten(1).cpu())
    return torch.cat(parts)


def active_units(means: Tensor, *, threshold: float = 0.01) -> int:
    r"""How many dimensions have \mathrm{Var}_x(E_{q(z|x)}[z_u]) > 0.01 (Burda et al., 2016).

    Args:
        means: Posterior means (n, d).
        threshold: Variance above which a unit counts as active.

    Example:
        >>> active_units(torch.tensor([[1.0, 0.0], [-1.0, 0.001]]))
        1
    """
    return int((means.double().var(0, unbiased=False) > threshold).sum())


def aggregate_mmd(z: Tensor, *, seed: int = 0, blocks: int = 10) -> tuple[float, float]:
    r"""Unbiased squared MMD between codes and N(0, I), and its standard error over blocks.

    The kernel is the inverse multiquadric C / (C + |a - b|^2) with C = 2 d, the mean squared
    distance of two standard normals (Tolstikhin et al., 2018). The expectations are over as many
    prior draws as there are codes.

    Args:
        z: Codes (n, d): draws of q(z|x), or means for a deterministic encoder.
        seed: Draws the prior and the blocks.
        blocks: Disjoint parts whose mean is returned.

    Raises:
        ConfigError: A block would hold fewer than 2 codes.
    """
    if len(z) < 2 * blocks:
        raise ConfigError(f"{blocks} blocks need {2 * blocks} codes, got {len(z)}")
    z = z.double()[torch.randperm(len(z), generator=generator(seed, 0))]
    prior = torch.randn(z.shape, generator=generator(seed, 1), dtype=torch.float64)
    scale = 2.0 * z.shape[1]

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        squared = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
        return scale / (scale + squared)

    def off_diagonal(k: Tensor) -> Tensor:
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))

    values = [
        off_diagonal(kernel(a, a)) + off_diagonal(kernel(b, b)) - 2 * kernel(a, b).mean()
        for a, b in zip(z.tensor_split(blocks), prior.tensor_split(blocks), strict=True)
    ]
    stacked = torch.stack(values)
    error = float(stacked.std() / blocks**0.5) if blocks > 1 else 0.0
    return float(stacked.mean()), error


def path_distance(
    model: Model,
    x: Tensor,
    reference: Tensor,
    features: Features,
    *,
    pairs: int = 200,
    steps: int = 9,
    seed: int = 0,
) -> tuple[float, float]:
    """How far decoded straight paths between codes stray from the data.

    The mean distance from points inside a path to their nearest reference, divided by that of the
    path's two ends: 1 where the inside of a path looks as real as its ends, larger where the latent
    space has holes.

    Args:
        model: A model that encodes and decodes, without context.
        x: Examples whose codes the paths join.
        reference: Real examples to be near.
        features: Where distance is measured.
        pairs: How many paths.
        steps: Points of a path, ends included.
        seed: Draws the pairs.

    Returns:
        The ratio and its standard error over paths.
    """
    if not (isinstance(model, Encodes) and isinstance(model, Decodes)):
        raise lacking(model, Encodes, Decodes)
    g = generator(seed, 3)
    a, b = (torch.randint(len(x), (pairs,), generator=g) for _ in range(2))
    weights = torch.linspace(0, 1, steps)
    near = features(reference)
    with evaluating(model):
        z = [model.encode(x[rows].to(model.device)) for rows in (a, b)]
        distances = []
        for w in weights.tolist():
            decoded = model.decode(torch.lerp(z[0], z[1], w))
            distances.append(nearest_distance(features(decoded), near))
    along = torch.stack(distances)  # (steps, pairs)
    inside, ends = along[1:-1].mean(0), along[[0, -1]].mean(0)
    ratio = float(inside.mean() / ends.mean())
    error = float((inside - ratio * ends).std() / pairs**0.5 / ends.mean())
    return ratio, error


def linear_probe(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], *, penalty: float = 1e-3
) -> Tensor:
    """Which test labels a linear softmax classifier on codes gets right, trained by L-BFGS.

    Args:
        train: Codes (n, d) and labels (n,); labels of -1 are left out.
        test: Codes (m, d) and labels (m,).
        penalty: L2 penalty on the weights.

    Returns:
        Booleans of the test examples whose label is known; their mean is the accuracy.
    """
    (x, y), (x_test, y_test) = train, test
    x, y = x.double()[y >= 0], y[y >= 0]
    x_test, y_test = x_test.double()[y_test >= 0], y_test[y_test >= 0]
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-8)
    x, x_test = (x - mean) / scale, (x_test - mean) / scale
    classes = int(max(y.max(), y_test.max())) + 1
    weight = torch.zeros(x.shape[1], classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(x @ weight + bias, y) + penalty * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    guess = (x_test @ weight + bias).argmax(1)
    return guess == y_test
