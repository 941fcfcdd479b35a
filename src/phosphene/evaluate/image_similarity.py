"""Similarity of two images: PSNR and SSIM, for images scaled to [0, 1]."""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["SSIM_WINDOW", "psnr", "ssim"]

SSIM_WINDOW = 11
"""Images with a side below this have no SSIM."""


def psnr(squared: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of mean squared errors (n,) on a scale whose peak is 1.

    Example:
        >>> psnr(torch.tensor([0.01])).item()
        20.0
    """
    return -10 * squared.clamp(min=1e-12).log10()


def _window(channels: int, dtype: torch.dtype) -> Tensor:
    offsets = torch.arange(SSIM_WINDOW, dtype=dtype) - SSIM_WINDOW // 2
    bell = torch.exp(-offsets.square() / (2 * 1.5**2))
    bell = bell / bell.sum()
    return torch.outer(bell, bell).expand(channels, 1, -1, -1)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    r"""Structural similarity (Wang et al., 2004) of each pair, (n,), at most 1.

    .. math::
        \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
             {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}

    in Gaussian windows (11 x 11, deviation 1.5) that lie inside the image, averaged over windows
    and channels; C_1 = 0.01^2 and C_2 = 0.03^2.

    Args:
        x: Images (n, c, h, w) in [0, 1], sides of at least 11.
        y: Images of the same shape.
    """
    channels = x.shape[1]
    x, y = x.double(), y.double()
    window = _window(channels, x.dtype)
    parts = torch.cat([x, y, x * x, y * y, x * y])
    mean_x, mean_y, xx, yy, xy = F.conv2d(parts, window, groups=channels).chunk(5)
    variance = xx - mean_x.square() + yy - mean_y.square()
    covariance = xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x.square() + mean_y.square() + 1e-4)
    return (luminance * (2 * covariance + 9e-4) / (variance + 9e-4)).flatten(1).mean(1)
