"""Autoencoders against pythae: training, importance-weighted likelihood, sampling, start-up.

    python -m benchmarks.autoencoder [--quick] [--json FILE]

Both models hold the same weights, and their outputs, losses and gradients are compared before
anything is timed. What is timed, and what is left out on both sides, stands in README.md here.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Case, Row, Watch, arguments, installed, run_all, write_json
from phosphene.api.train import train
from phosphene.core.progress import Finished, Saved, Started, TrainingEvent
from phosphene.data.dataset import Dataset
from phosphene.data.loading import load
from phosphene.generative.autoencoder.vae import VAE
from phosphene.train.building import build
from phosphene.train.folder import Run
from phosphene.train.settings import TrainSettings

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
    rounds: int = 7
    scored: int = 50
    particles: int = 100
    decoded: int = 2000
    commands: int = 7
    learned: int = 60


QUICK = Size(examples=1024, epochs=1, rounds=5, scored=10, decoded=500, commands=3)


def train_ours(
    model: VAE, data: Dataset, budget: str, folder: str, batch: int = 128, **options: Any
) -> Run:
    """Train a model like this one, at the constructors' defaults whatever a recipe says."""
    config = {k: v for k, v in model.config.items() if k not in ("event", "context")}
    return train(
        "vae", data=data, budget=budget, folder=folder, model=config,
        train=asdict(TrainSettings(batch_size=batch)), threads=1, **options,
    )  # fmt: skip


def training(
    data: Dataset,
    size: Size,
    *,
    batches: tuple[int, int] = (64, 64),
    precision: str = "fp32",
    default_networks: bool = False,
    whole: bool = True,
    **sizes: Any,
) -> Iterator[Case]:
    """The same VAE in both trainers at their defaults: whole trainings, and their steps alone."""
    from pythae.data.datasets import BaseDataset
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    from benchmarks.agreement import same_training
    from benchmarks.pythae_models import like_ours, quiet

    model = build("vae", data.event, **sizes)
    assert isinstance(model, VAE)
    peer = like_ours(model, default_networks=default_networks)
    inputs = BaseDataset(data.x, torch.zeros(len(data)))

    def trainer(folder: str) -> BaseTrainer:
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=size.epochs, per_device_train_batch_size=batches[0]
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
            budget = f"{size.epochs}epochs"
            options = {"precision": precision, "listeners": [clock]}
            train_ours(model, data, budget, folder, batches[1], **options)
            watch.stop()

    def check() -> float:
        return same_training(model, peer, data.x[:64])

    work = _described(model, batches, precision, default_networks)
    if whole:
        yield Case(f"train {work}", PEER, check, their_training, our_training)
    yield Case(f"steps of {work}", PEER, check, their_steps, our_steps, bound=())


def _described(model: VAE, batches: tuple[int, int], precision: str, default_networks: bool) -> str:
    widths = (model.event.dimensions, *model.config["hidden"], model.latent_dim)
    notes = ["" if model.config["network"] == "mlp" else model.config["network"] + " "]
    notes.append("-".join(map(str, widths)))
    if model.particles > 1:
        notes.append(f" IWAE({model.particles})")
    if default_networks:
        notes.append(" (pythae's networks)")
    theirs, ours = batches
    notes.append(f", batch {ours}" if theirs == ours else f", default batches ({theirs}, {ours})")
    notes.append("" if precision == "fp32" else f", {precision} here")
    return "".join(notes)


def likelihood(data: Dataset, size: Size, particles: int) -> Iterator[Case]:
    """Importance-weighted log-likelihood with the same number of particles."""
    from benchmarks.agreement import same_likelihood
    from benchmarks.pythae_models import like_ours

    model = build("vae", data.event)
    assert isinstance(model, VAE)
    with tempfile.TemporaryDirectory() as folder:
        learned = train_ours(model, data, f"{size.learned}steps", folder).model
    model.load_state_dict(learned.state_dict())
    peer = like_ours(model)
    codes = data.x[: size.scored]
    x = codes.float()

    def check() -> float:
        return same_likelihood(model, peer, codes[:5], particles)

    @torch.no_grad()
    def theirs(watch: Watch) -> None:
        peer.get_nll(x, n_samples=particles, batch_size=100)

    @torch.no_grad()
    def ours(watch: Watch) -> None:
        model.elbo(codes, particles=particles)

    name = f"importance-weighted NLL, {size.scored} examples, {particles} particles in both"
    yield Case(name, PEER, check, theirs, ours, bound=())


def decoding(data: Dataset, size: Size) -> Iterator[Case]:
    """Reconstructions and samples, as means."""
    from pythae.samplers import NormalSampler

    from benchmarks.agreement import difference
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

    reconstructed = check_reconstruction, their_reconstruction, our_reconstruction
    yield Case(f"reconstruct {n}", PEER, *reconstructed, bound=())
    yield Case(f"sample {n} means", PEER, check_samples, their_samples, our_samples, bound=())


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
    for module in ("pythae", "pythae.models"):
        theirs, ours = ("-c", f"import {module}"), ("-m", "phosphene", "--help")
        yield start_up(f"`phosphene --help` against `import {module}`", theirs, ours, size.commands)
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
    few = data.subset(torch.arange(size.examples // 8))  # for steps that are many times longer
    mlp: dict[str, Any] = {"hidden": (400, 400), "latent_dim": 16}
    yield from training(data, size, batches=(64, 128), **mlp)  # each at its own default
    yield from training(data, size, **mlp)
    yield from training(data, size, default_networks=True, hidden=(512,), latent_dim=10)
    yield from training(data, size, whole=False, precision="bf16", **mlp)
    yield from training(few, size, whole=False, particles=10, **mlp)
    yield from training(few, size, whole=False, network="conv", hidden=(32, 64), latent_dim=16)
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
