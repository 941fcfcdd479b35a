"""The rules of differentiation, each a function of values and slopes.

    (f g)' = f' g + f g'            (f / g)' = (f' g - f g') / g^2
    (f(g))' = f'(g) g'              (f^-1)'(y) = 1 / f'(f^-1(y))          (log f)' = f' / f

(Leibniz, 1684, for the first two.) The last is the "log-derivative trick" of policy gradients when
it is read from right to left: f' = f (log f)'.
"""

from torch import Tensor

__all__ = ["chain_rule", "inverse_rule", "log_rule", "product_rule", "quotient_rule"]


def product_rule(f: Tensor, df: Tensor, g: Tensor, dg: Tensor) -> Tensor:
    """f' g + f g'.

    Args:
        f: Values.
        df: Slopes there.
        g: Values.
        dg: Slopes there.
    """
    return df * g + f * dg


def quotient_rule(f: Tensor, df: Tensor, g: Tensor, dg: Tensor) -> Tensor:
    """(f' g - f g') / g^2; arguments as for the product.

    Example:
        >>> import torch
        >>> f, g = torch.tensor([6.0, 2.0])  # of x^2 + 2 and x at 2
        >>> quotient_rule(f, torch.tensor(4.0), g, torch.tensor(1.0))
        tensor(0.5000)
    """
    return (df * g - f * dg) / g.square()


def chain_rule(outer_slope: Tensor, inner_slope: Tensor) -> Tensor:
    """f'(g(x)) g'(x).

    Args:
        outer_slope: f' at g(x).
        inner_slope: g' at x.
    """
    return outer_slope * inner_slope


def inverse_rule(slope_at_solution: Tensor) -> Tensor:
    """1 / f'(x) where f(x) = y: the slope of the inverse function at y.

    Args:
        slope_at_solution: f' at x, not 0.
    """
    return 1 / slope_at_solution


def log_rule(f: Tensor, df: Tensor) -> Tensor:
    """f' / f, the slope of log f.

    Args:
        f: Values, above 0.
        df: Slopes there.
    """
    return df / f
