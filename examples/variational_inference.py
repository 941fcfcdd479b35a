"""Sample from a density that is known up to a constant, and estimate the constant.

A posterior is known as prior times likelihood; its integral, the evidence, is not. A flow is moved
towards it by reverse KL, through its own draws: no data are needed.

python examples/variational_inference.py
python examples/variational_inference.py 3000steps
"""

import math
import sys

import torch
from torch import Tensor

import phosphene as ph


def posterior() -> tuple[Tensor, Tensor]:
    """Slopes and intercepts are asked for; here are the data: seven points near a line."""
    x = torch.linspace(-1, 1, 7)
    noise = torch.tensor([0.3, -0.5, 0.1, 0.4, -0.2, -0.3, 0.2])
    return x, 0.8 * x - 0.4 + noise


def log_joint(theta: Tensor) -> Tensor:
    """log p(theta) p(y | theta) of a line with normal noise of deviation 0.4, (n,)."""
    x, y = posterior()
    residuals = y - theta[:, :1] * x - theta[:, 1:]
    normal = -0.5 * (theta.square().sum(1) + 2 * math.log(2 * math.pi))
    fit = -0.5 * (residuals / 0.4).square() - math.log(0.4) - 0.5 * math.log(2 * math.pi)
    return normal + fit.sum(1)


def evidence() -> float:
    """log p(y), which a linear model has in closed form: y is normal."""
    x, y = posterior()
    design = torch.stack((x, torch.ones_like(x)), 1)
    covariance = design @ design.T + 0.16 * torch.eye(len(x))
    return float(torch.distributions.MultivariateNormal(torch.zeros(7), covariance).log_prob(y))


def main(budget: str = "600steps") -> None:
    """Reverse KL by Adam, then importance weights."""
    flow = ph.build("realnvp", ph.Event.real(2), layers=4, hidden=(32,), seed=0)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-2)
    draws = torch.Generator().manual_seed(0)
    for _ in range(int(budget.removesuffix("steps"))):
        theta, log_q = flow.rsample_and_log_prob(256, generator=draws)
        loss = (log_q - log_joint(theta)).mean()  # minus a bound on log p(y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        theta, log_q = flow.rsample_and_log_prob(20_000, generator=draws)
        log_w = log_joint(theta) - log_q
    estimate = float(torch.logsumexp(log_w, 0)) - math.log(len(log_w))
    print(f"slope {theta[:, 0].mean():.3f} +- {theta[:, 0].std():.3f}")
    print(f"bound on the evidence    {log_w.mean():.4f}")
    print(f"importance-weighted      {estimate:.4f}")
    print(f"the evidence itself      {evidence():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
