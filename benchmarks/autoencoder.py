"""Autoencoders against pythae: training, importance-weighted likelihood, sampling, start-up.

    python -m benchmarks.autoencoder [--quick] [--json FILE]

Both models hold the same weights, and their outputs, losses and gradients are compared before
anything is timed. What is timed, and what is left out on both sides, stands in README.md here.
"""

import contextlib
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import torch
import torch.distributions as td
from torch import Tensor

from benchmarks.common import Case, Row, Watch, arguments, installed, run_all, write_json
from phosphene.core.batch import Batch
from phosphene.core.events import Finished, Saved, Started, TrainingEvent
from phosphene.data.dataset import Dataset
from phosphene.data.loading import load
from phosphene.generative.autoencoder.vae import VAE
from phosphene.recipes.training import train
from phosphene.train.building import build

if TYPE_CHECKING:
    from pythae.models import VAE as PythaeVAE

__all__ = ["Size", "cases", "main", "start_up"]

PEER = "pythae"


@dataclass(frozen=True)
class Size:
    """How much work each case is.

    Args:
        data: The data set, of two levels.
        examples: Training examples.
        epochs: Training epochs in one measurement.
        rounds: Measurements of each case.
        scored: Examples whose likelihood is estimated.
        particles: Samples of z for each of them.
        decoded: Examples that are reconstructed or sampled.
        commands: Measurements of each start-up.
        learned: Steps of training before likelihoods are estimated.
    """

    data: str = "mnist-binary"
    examples: int = 4096
    epochs: int = 2
    rounds: int = 9
    scored: int = 50
    particles: int = 100
    decoded: int = 2000
    commands: int = 7
    learned: int = 60


QUICK = Size(examples=1024, epochs=1, rounds=5, scored=10, decoded=500, commands=3)


# -- equality ----------------------------------------------------------------------------------


def difference(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference, relative where values are above 1."""
    scale = max(1.0, float(b.detach().abs().max()))
    return float((a - b).detach().abs().max()) / scale


def same_training(ours: VAE, peer: "PythaeVAE", x: Tensor, tolerance: float = 2e-5) -> float:
    """Largest difference of posteriors, reconstructions, loss and gradients; asserts them equal."""
    from benchmarks.pythae_models import bounded, copy_weights, noise_given

    copy_weights(ours, peer)
    noise = Batch.of(x, seed=3).normal((1, ours.latent_dim))[:, 0]
    with bounded(peer), noise_given(peer, lambda shape: noise):
        posterior = peer.encoder(x.float())
        theirs = peer({"data": x.float()})
        peer.zero_grad()
        theirs.loss.backward()
    batch = Batch.of(x, seed=3)
    loss = ours.loss(batch)
    ours.zero_grad()
    loss.total.backward()
    mu, logvar = ours.posterior(x)
    z = mu + torch.exp(0.5 * logvar) * noise
    pairs = [
        (mu, posterior.embedding),
        (logvar, posterior.log_covariance),
        (ours.decode(z), theirs.recon_x),
        (loss.total / ours.event.dimensions, theirs.loss / ours.event.dimensions),
        (_gradients(ours), _gradients(peer)),
    ]
    worst = max(difference(a, b) for a, b in pairs)
    assert worst < tolerance, f"ours and the peer's differ by {worst}"
    return worst


def _gradients(model: "VAE | PythaeVAE") -> Tensor:
    """All gradients, encoder first; a split head's parts in the order of the whole one's rows."""
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for part in (model.encoder, model.decoder):
        for name, p in part.named_parameters():
            assert p.grad is not None
            (biases if name.endswith("bias") else weights).append(p.grad.flatten())
    return torch.cat([*weights, *biases])


def oracle(model: VAE, x: Tensor, eps: Tensor) -> Tensor:
    """The importance-weighted bound of given noise (k, n, d), from densities in float64."""
    double = VAE(model.event, **_settings(model)).double()
    double.load_state_dict(model.state_dict())
    mu, logvar = double.posterior(x)
    posterior = td.Normal(mu, torch.exp(0.5 * logvar))
    z = mu + posterior.stddev * eps.double()
    logits = torch.stack([double.decode_params(one).squeeze(1) for one in z])
    log_joint = td.Bernoulli(logits=logits).log_prob(x.double()).flatten(2).sum(-1)
    log_joint += td.Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_w = log_joint - posterior.log_prob(z).sum(-1)
    return torch.logsumexp(log_w, 0) - math.log(len(eps))


def _settings(model: VAE) -> dict[str, Any]:
    return {k: v for k, v in model.config.items() if k != "event"}


# -- cases -------------------------------------------------------------------------------------


def training(
    data: Dataset, size: Size, batch: int, *, default_networks: bool = False, **sizes: Any
) -> Iterator[Case]:
    """The same VAE in both trainers at their defaults, whole trainings and steps alone."""
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    from benchmarks.pythae_models import like_ours, quiet

    model = build("vae", data.event, **sizes)
    assert isinstance(model, VAE)
    peer = like_ours(model, default_networks=default_networks)
    kind = " (pythae's networks)" if default_networks else ""
    inputs = BaseDataset(data.x, torch.zeros(len(data)))

    def trainer(folder: str) -> BaseTrainer:
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=size.epochs, per_device_train_batch_size=batch
        )
        return BaseTrainer(peer, inputs, training_config=settings)

    def their_training(watch: Watch) -> None:
        with tempfile.TemporaryDirectory() as folder, quiet():
            worker = trainer(folder)
            watch.start()
            worker.train()
            watch.stop()

    def their_steps(watch: Watch) -> None:
        with tempfile.TemporaryDirectory() as folder, quiet():
            worker = trainer(folder)
            worker.prepare_training()
            watch.start()
            for epoch in range(size.epochs):
                worker.train_step(epoch + 1)
            watch.stop()

    def our_training(watch: Watch) -> None:
        def clock(event: TrainingEvent) -> None:
            if isinstance(event, Started):
                watch.start()

        our_run(watch, clock)

    def our_steps(watch: Watch) -> None:
        def clock(event: TrainingEvent) -> None:
            if isinstance(event, Saved) and event.step == 0:
                watch.start()
            elif isinstance(event, Finished):
                watch.stop()

        our_run(watch, clock)

    def our_run(watch: Watch, clock: Any) -> None:
        with tempfile.TemporaryDirectory() as folder:
            train(
                "vae", data=data, budget=f"{size.epochs}epochs", folder=folder, model=sizes,
                train={"batch_size": batch}, threads=1, listeners=[clock],
            )  # fmt: skip
            watch.stop()

    def check() -> float:
        return same_training(model, peer, data.x[:64])

    name = "-".join(map(str, (data.event.dimensions, *model.config["hidden"], model.latent_dim)))
    work = f"{name}{kind}, {size.epochs} x {size.examples}, batch {batch}"
    yield Case(f"train {work}", PEER, check, their_training, our_training)
    yield Case(f"its steps alone, {work}", PEER, check, their_steps, our_steps)


def likelihood(data: Dataset, size: Size, particles: int) -> Iterator[Case]:
    """Importance-weighted log-likelihood with the same number of particles."""
    from benchmarks.pythae_models import bounded, like_ours, noise_given

    with tempfile.TemporaryDirectory() as folder:
        run = train("vae", data=data, budget=f"{size.learned}steps", folder=folder, threads=1)
        model = run.model
    assert isinstance(model, VAE)
    peer = like_ours(model)
    codes = data.x[: size.scored]
    x = codes.float()

    @torch.no_grad()
    def check() -> float:
        some = codes[: min(5, size.scored)]
        with noise_recorded(model.latent_dim) as drawn:
            ours = torch.cat([model.elbo(one[None], particles=particles) for one in some])
        eps = torch.cat(drawn).view(len(some), particles, -1)
        exact = oracle(model, some, eps.transpose(0, 1))
        used: list[int] = []
        with bounded(peer), noise_given(peer, _in_pieces(eps, used)):
            # Despite its name it returns the mean log-likelihood.
            theirs = float(peer.get_nll(some.float(), n_samples=particles, batch_size=100))
        assert sum(used) == eps.shape[:2].numel(), f"the peer drew {sum(used)} particles"
        worst = max(difference(ours, exact), abs(float(exact.mean()) / theirs - 1.0))
        assert worst < 1e-5, f"log-likelihoods differ by {worst} of their size"
        return worst

    @torch.no_grad()
    def theirs(watch: Watch) -> None:
        peer.get_nll(x, n_samples=particles, batch_size=100)

    @torch.no_grad()
    def ours(watch: Watch) -> None:
        model.elbo(codes, particles=particles)

    name = f"importance-weighted NLL, {size.scored} examples, {particles} particles in both"
    yield Case(name, PEER, check, theirs, ours)


@contextlib.contextmanager
def noise_recorded(latent_dim: int) -> Iterator[list[Tensor]]:
    """The normal numbers drawn inside the block, as rows of ``latent_dim``."""
    drawn: list[Tensor] = []
    randn = torch.randn

    def record(*args: Any, **kwargs: Any) -> Tensor:
        drawn.append(randn(*args, **kwargs))
        return drawn[-1]

    with mock.patch.object(torch, "randn", record):
        yield drawn
    drawn[:] = [noise.reshape(-1, latent_dim) for noise in drawn]


def _in_pieces(eps: Tensor, used: list[int]) -> Callable[[tuple[int, ...]], Tensor]:
    """Noise (n, k, d) as the peer asks for it, in order; the sizes are noted in ``used``."""
    rows = iter(eps.flatten(0, 1))

    def give(shape: tuple[int, ...]) -> Tensor:
        used.append(shape[0])
        return torch.stack([next(rows) for _ in range(shape[0])])

    return give


@torch.no_grad()
def particles_used(ours: VAE, peer: "PythaeVAE", x: Tensor, asked: int) -> tuple[int, int]:
    """How many samples of z the peer and we draw for one example when asked for so many."""
    from benchmarks.pythae_models import noise_given

    used: list[int] = []

    def draw(shape: tuple[int, ...]) -> Tensor:
        used.append(shape[0])
        return torch.zeros(shape)

    with noise_given(peer, draw):
        peer.get_nll(x[:1].float(), n_samples=asked, batch_size=100)
    with noise_recorded(ours.latent_dim) as drawn:
        ours.elbo(x[:1], particles=asked)
    return sum(used), sum(map(len, drawn))


def decoding(data: Dataset, size: Size) -> Iterator[Case]:
    """Reconstructions and samples, as means."""
    from pythae.samplers import NormalSampler

    from benchmarks.pythae_models import like_ours

    model = build("vae", data.event)
    assert isinstance(model, VAE)
    peer = like_ours(model)
    sampler = NormalSampler(peer)
    codes = data.x[: size.decoded]
    x = codes.float()
    n = size.decoded

    @torch.no_grad()
    def check_reconstruction() -> float:
        worst = difference(model.reconstruct(codes), peer.predict(x).recon_x)
        assert worst < 1e-5, f"reconstructions differ by {worst}"
        return worst

    @torch.no_grad()
    def check_samples() -> float:
        with torch.random.fork_rng():
            torch.manual_seed(5)
            theirs = sampler.sample(n, batch_size=n)
        ours = model.sample_mean(n, generator=torch.Generator().manual_seed(5))
        worst = difference(ours, theirs)
        assert worst < 1e-5, f"samples differ by {worst}"
        return worst

    @torch.no_grad()
    def their_reconstruction(watch: Watch) -> None:
        peer.predict(x)

    @torch.no_grad()
    def our_reconstruction(watch: Watch) -> None:
        model.reconstruct(codes)

    @torch.no_grad()
    def their_samples(watch: Watch) -> None:
        sampler.sample(n)

    def our_samples(watch: Watch) -> None:
        model.sample_mean(n)

    yield Case(
        f"reconstruct {n}", PEER, check_reconstruction, their_reconstruction, our_reconstruction
    )
    yield Case(f"sample {n} means", PEER, check_samples, their_samples, our_samples)


def start_up(
    name: str, theirs: Sequence[str], ours: Sequence[str], rounds: int, peer: str = PEER
) -> Case:
    """Two commands, each in a new interpreter."""

    def runner(command: Sequence[str]) -> Any:
        def run(watch: Watch) -> None:
            subprocess.run([sys.executable, *command], check=True, capture_output=True)

        return run

    return Case(name, peer, lambda: 0.0, runner(theirs), runner(ours), rounds)


def commands(size: Size) -> Iterator[Case]:
    """What a user waits for before anything happens."""
    theirs = ("-c", "import pythae")
    yield start_up(
        "`phosphene --help` against `import pythae`", theirs, ("-m", "phosphene", "--help"),
        size.commands,
    )  # fmt: skip
    ready = "import phosphene as ph; ph.build('vae', ph.Event.binary(64))"
    their = (
        "from pythae.models import VAE, VAEConfig; VAE(VAEConfig(input_dim=(64,), latent_dim=16))"
    )
    yield start_up("import and build a VAE", ("-c", their), ("-c", ready), size.commands)


def cases(size: Size) -> Iterator[Case]:
    """All cases that compute; those that start interpreters are ``commands``."""
    if not installed(PEER):
        return
    full = load(size.data, "train")
    data = Dataset(name="benchmark", split="train", event=full.event, x=full.x[: size.examples])
    yield from training(data, size, 64, hidden=(400, 400), latent_dim=16)
    yield from training(data, size, 64, hidden=(512,), latent_dim=10, default_networks=True)
    yield from likelihood(data, size, size.particles)
    yield from likelihood(data, size, 5 * size.particles)
    yield from decoding(data, size)


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Run the benchmark's command line."""
    args = arguments(__doc__ or "", argv)
    torch.set_num_threads(1)
    size = QUICK if args.quick else Size()

    def every() -> Iterator[Case]:
        yield from cases(size)
        if installed(PEER):
            yield from commands(size)

    rows = run_all(every(), size.rounds, [PEER])
    if args.json:
        write_json(rows, Path(args.json))
    return rows


if __name__ == "__main__":
    main()
