"""Train the systems and draw the documentation's pictures from the runs.

    python scripts/build_docs_pictures.py                      # every picture, recipes' own budgets
    python scripts/build_docs_pictures.py --budget 20s vae     # one of them, quickly

Writes ``docs/_static/NAME.png`` and, for the captions, ``docs/_static/pictures.json``: the command
that trained each run, its steps, and the scores that are quoted. Runs are kept in ``runs/docs``; a
run that is there already is used again, unless ``--again`` is given.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import agent_pictures  # beside this file, as studio
import diffusion_pictures
import numpy as np
import torch
from PIL import Image
from studio import RUNS, Studio, command
from torch import Tensor

import phosphene as ph
from phosphene.catalog.recipe import recipes
from phosphene.evaluate import data_kind, pictures, plots, super_resolution, transfers, views
from phosphene.evaluate.likelihood import importance_weighted
from phosphene.evaluate.table_plots import pairs
from phosphene.subjects.dataset.choosing import select

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "docs" / "_static"


def trained(system: str) -> bool:
    """Whether a system can be trained by name: it has a recipe, or needs no context."""
    row = next(s for s in ph.systems() if s.name == system)
    return row.context != "required" or any(r.system == system for r in recipes())


def some(data: str, n: int, seed: int = 0) -> Tensor:
    """Test examples, one of each class in turn where there are classes."""
    test = ph.data.load(data, "test")
    order = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))
    if test.y is None:
        return test.x[order[:n]]
    rows = [order[test.y[order] == c] for c in range(len(test.classes))]
    return test.x[torch.stack([rows[k % len(rows)][k // len(rows)] for k in range(n)])]


def rows_of(event: ph.Event, *rows: Tensor, scale: int = 2) -> Image.Image:
    """Rows of images, one under the other."""
    whole = torch.cat([row.double() for row in rows])
    return data_kind.picture(whole, event, columns=len(rows[0]), scale=scale)


@torch.no_grad()
def vae(studio: Studio) -> Image.Image:
    run = studio.run("vae", "mnist-binary")
    means = views.fitted_draws(run.model, ph.data.load("mnist-binary"), 64, seed=0)
    return data_kind.picture(means, run.model.event, columns=16, scale=2)


@torch.no_grad()
def reconstructions(studio: Studio) -> Image.Image:
    x = some("mnist", 16)
    deep = studio.run("autoencoder", "mnist", latent_dim=12)
    flat = studio.run("linear-autoencoder", "mnist", latent_dim=12)
    return rows_of(deep.model.event, x, deep.model.reconstruct(x), flat.model.reconstruct(x))


@torch.no_grad()
def denoising(studio: Studio) -> Image.Image:
    gaussian = studio.run("denoising-autoencoder", "mnist").model
    masking = studio.run("denoising-autoencoder", "mnist", noise="masking").model
    x = some("mnist", 16)
    noisy = gaussian.corrupt(x, torch.Generator().manual_seed(0))
    known = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) > masking.masked
    holes = torch.where(known, x.double(), 128.0)
    filled = masking.inpaint(x, known)
    return rows_of(gaussian.event, noisy.clamp(0, 255), gaussian.denoise(noisy), holes, filled)


@torch.no_grad()
def interpolation(studio: Studio) -> Image.Image:
    data = "mnist-binary"
    plain, smooth = studio.run("autoencoder", data).model, studio.run("vae", data).model
    a, b = some(data, 4, seed=1), some(data, 8, seed=2)[4:]
    rows = []
    for k in range(4):
        for model in (plain, smooth):
            rows.append(views.interpolations(model, a[k : k + 1], b[k : k + 1], 14)[0])
    return rows_of(plain.event, *rows)


@torch.no_grad()
def importance(studio: Studio) -> Image.Image:
    model = studio.run("vae", "mnist-binary").model
    test = ph.data.load("mnist-binary", "test")
    counts = (1, 2, 5, 10, 20, 50, 100, 200, 500)
    bounds = [float(importance_weighted(model, test.x[:300], particles=k).mean()) for k in counts]
    points = {"K particles": (np.log10(counts).tolist(), bounds)}
    figure = plots.curves(points, x="log10 K", y="bound, nats", size=(6, 3))
    figure.axes[0].set_ylim(min(bounds) - 0.5, max(bounds) + 0.5)
    return figure_image(figure)


@torch.no_grad()
def linear_vae(studio: Studio) -> Image.Image:
    run = studio.run("linear-vae", "moons")
    test = ph.data.load("moons", "test")
    g = torch.Generator().manual_seed(0)
    sets = {"data": test.x[:1500], "samples": run.model.sample(1500, generator=g)}
    return figure_image(plots.scatter(sets, size=(3.6, 3.6)))


@torch.no_grad()
def beta_vae(studio: Studio) -> Image.Image:
    data = select("beta-vae").data
    run = studio.run("beta-vae", data if data.startswith("sprites") else "sprites")
    test = ph.data.load(run.config["data"], "test")
    moments = views.spread(run.model, test.x)
    moved, _ = views.traversals(run.model, test.x[:1], moments, dimensions=6, steps=12)
    return data_kind.picture(moved.flatten(0, 1), run.model.event, columns=12, scale=2)


@torch.no_grad()
def constrained(studio: Studio) -> Image.Image:
    run = studio.run("constrained-vae")
    logged = [row for row in run.metrics if "kl" in row and "lr" in row]
    steps = [row["step"] for row in logged]
    figure = plots.curves(
        {
            "budget": (steps, [run.model.delta] * len(steps)),
            "KL": (steps, [row["kl"] for row in logged]),
            "beta": (steps, [row["beta"] for row in logged]),
        },
        x="step",
        y="nats; beta",
        size=(6, 3),
    )
    figure.axes[0].set_ylim(0, 2 * run.model.delta)
    return figure_image(figure)


@torch.no_grad()
def styles(studio: Studio) -> Image.Image:
    run = studio.run("semi-supervised-vae")
    model, x = run.model, some(run.config["data"], 6, seed=3)
    rows = []
    for one in x:
        labels = ph.Context(label=torch.arange(10))
        ten = model.translate(one.expand(10, *one.shape), labels)
        rows.append(torch.cat([one[None].double(), ten.double()]))
    return rows_of(model.event, *rows)


@torch.no_grad()
def gated_pixelcnn(studio: Studio) -> Image.Image:
    """Samples above; below, upper halves of test digits and two exact draws of the rest of each."""
    run = studio.run("gated-pixelcnn", "mnist-binary")
    drawn = views.draws(run.model, 32, seed=0)
    x = some("mnist-binary", 16)
    known = torch.zeros(x.shape, dtype=torch.bool)
    known[:, :, :14] = True
    filled = [
        run.model.inpaint(x, known, generator=torch.Generator().manual_seed(k)) for k in (0, 1)
    ]
    half = torch.where(known, x, torch.zeros_like(x))
    return rows_of(run.model.event, drawn[:16], drawn[16:], x, half, *filled)


@torch.no_grad()
def rbm(studio: Studio) -> Image.Image:
    """Samples of a chain that started at training examples."""
    run = studio.run("rbm", "mnist-binary")
    drawn = views.draws(run.model, 48, seed=0)
    return rows_of(run.model.event, *drawn.split(16))


@torch.no_grad()
def vq_vae_prior(studio: Studio) -> Image.Image:
    """Test digits, their reconstructions from 49 tokens, and samples by label."""
    run = studio.run("vq-vae-prior", "mnist")
    x = some("mnist", 20)
    label = torch.arange(20) % 10
    drawn = views.draws(run.model, 20, ph.Context(label=label), seed=0, mean=True)
    more = views.draws(run.model, 20, ph.Context(label=label), seed=1, mean=True)
    return rows_of(run.model.event, x, run.model.reconstruct(x), drawn, more)


@torch.no_grad()
def neural_spline_flow(studio: Studio) -> Image.Image:
    """Five true densities above, and below each what the same recipe makes of its examples."""
    import matplotlib

    side, low, high = 180, -4.0, 4.0
    line = torch.linspace(low, high, side)
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    points = torch.stack([x, y], -1).view(-1, 2)
    columns = []
    for data in ("moons", "ring8", "grid25", "checkerboard", "spirals"):
        model = studio.run("neural-spline-flow", data).model
        test = ph.data.load(data, "test")
        assert test.log_prob is not None
        scale = test.x.abs().max() / high * 1.05
        true = test.log_prob(points * scale).exp()
        found = model.log_prob(points * scale).exp()
        both = torch.stack((true, found)).view(2 * side, side) / true.max()
        columns.append(matplotlib.colormaps["magma"](both.clamp(0, 1).double().numpy()))
    sheet = np.concatenate(columns, 1)[..., :3]
    return Image.fromarray((sheet * 255).round().astype(np.uint8))


def crops() -> str:
    """The table of the tutorial, written by its own code, as the name of a data set."""
    text = (ROOT / "docs" / "tutorials" / "tables.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(compile(code, "tables.md", "exec"), {})
        found = Path("crops.csv").read_bytes()
    RUNS.mkdir(parents=True, exist_ok=True)
    (RUNS / "crops.csv").write_bytes(found)
    return f"csv:{RUNS / 'crops.csv'}"


@torch.no_grad()
def tables(studio: Studio) -> Image.Image:
    """The columns of a table in pairs: rows that were held out, and samples."""
    words = ["train", "neural-spline-flow", "--data", crops(), "--seed", "0"]
    run = studio.trained([*words, "--budget", studio.budget or "30s"], "crops")
    test = ph.data.load(run.config["data"], "test")
    drawn = views.draws(run.model, 600, seed=0)
    sets = {"held out": test.x, "samples": drawn}
    return figure_image(pairs(sets, test.columns, range(len(test.columns))))


@torch.no_grad()
def glow(studio: Studio) -> Image.Image:
    """Samples at temperatures 0.5, 0.7, 0.9 and 1, and test digits."""
    model = studio.run("glow", "mnist").model
    rows = []
    for temperature in (0.5, 0.7, 0.9, 1.0):
        g = torch.Generator().manual_seed(0)
        rows.append(model.sample(20, generator=g, temperature=temperature))
    return rows_of(model.event, *rows, some("mnist", 20))


@torch.no_grad()
def srflow(studio: Studio) -> Image.Image:
    """Inputs, interpolated, at temperature 0, three at 0.8, truth: one column for each input."""
    run = studio.run("srflow", "mnist-x4")
    test = ph.data.load("mnist-x4", "test")
    rows = super_resolution.comparison(run.model, test, torch.arange(16), draws=3)
    return rows_of(run.model.event, *rows.transpose(0, 1))


@torch.no_grad()
def cflow(studio: Studio) -> Image.Image:
    """Each example under each condition; the examples' own stand on the diagonal."""
    model = studio.run("c-flow", "sprites-masks").model
    test = ph.data.load("sprites-masks", "test")
    table, columns = transfers.transferred(model, test, torch.arange(10))
    return pictures.grid(table, columns, scale=3)


def compared(studio: Studio) -> Image.Image:
    systems = ["vae", "iwae", "beta-vae", "autoencoder"]
    budget = studio.budget or "30s"
    where = RUNS / "compare"
    shutil.rmtree(where, ignore_errors=True)
    words = ["compare", *systems, "--data", "digits-binary", "--budget", budget]
    command([*words, "--name", "docs/compare"])
    rows = json.loads((where / "compare.json").read_text())["rows"]
    steps = round(sum(row["steps"] for row in rows))
    studio.commands.append({"command": f"phosphene {' '.join(words)}", "steps": steps})
    picture = Image.open(where / "compare.png")
    return picture.resize((900, round(900 * picture.height / picture.width)), Image.LANCZOS)


def report(studio: Studio) -> Image.Image | None:
    """The upper part of the report of a model."""
    return photographed(studio.run("vae", "mnist-binary"))


def agent_report(studio: Studio) -> Image.Image | None:
    """The upper part of the report of an agent."""
    return photographed(studio.agent("ppo", "CartPole-v1"))


def photographed(run: ph.Run) -> Image.Image | None:
    """The upper part of a run's report, by a browser; nothing where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return None
    command(["report", str(run.path)])
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.png"
        subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-background-networking", f"--user-data-dir={folder}/profile",
                f"--screenshot={file}", "--window-size=1000,1100",
                (run.path / "report.html").resolve().as_uri(),
            ],
            check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        return Image.open(file).convert("RGB")


def figure_image(figure: object) -> Image.Image:
    """A figure as an image."""
    from io import BytesIO

    return Image.open(BytesIO(plots.png(figure, dpi=100)))  # type: ignore[arg-type]


PICTURES: dict[str, tuple[Callable[[Studio], Image.Image | None], tuple[str, ...]]] = {
    "vae": (vae, ("vae",)),
    "reconstructions": (reconstructions, ("autoencoder", "linear-autoencoder")),
    "denoising": (denoising, ("denoising-autoencoder",)),
    "interpolation": (interpolation, ("autoencoder", "vae")),
    "importance": (importance, ("vae",)),
    "linear-vae": (linear_vae, ("linear-vae",)),
    "beta-vae": (beta_vae, ("beta-vae",)),
    "constrained": (constrained, ("constrained-vae",)),
    "styles": (styles, ("semi-supervised-vae",)),
    "compare": (compared, ("vae", "iwae", "beta-vae", "autoencoder")),
    "report": (report, ("vae",)),
    "gated-pixelcnn": (gated_pixelcnn, ("gated-pixelcnn",)),
    "rbm": (rbm, ("rbm",)),
    "vq-vae-prior": (vq_vae_prior, ("vq-vae-prior",)),
    "neural-spline-flow": (neural_spline_flow, ("neural-spline-flow",)),
    "tables": (tables, ("neural-spline-flow",)),
    "glow": (glow, ("glow",)),
    "srflow": (srflow, ("srflow",)),
    "c-flow": (cflow, ("c-flow",)),
    "ddpm": (diffusion_pictures.denoised, ("ddpm",)),
    "guidance": (diffusion_pictures.guided, ("ddpm",)),
    "controlnet": (diffusion_pictures.controlled, ("controlnet",)),
    "agents": (agent_pictures.agents, ("ppo", "sac", "dqn")),
    "value-map": (agent_pictures.value_maps, ("sarsa", "q-learning")),
    "agents-learning": (agent_pictures.learning, ("ppo", "pqn", "dqn")),
    "agent-report": (agent_report, ("ppo",)),
}
"""Name to the function that draws it and the systems it needs."""


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG of few bytes: 32 gray levels where it is gray, 128 colors otherwise."""
    image = image.convert("RGB")
    bands = np.asarray(image)
    if (bands == bands[..., :1]).all():
        levels = np.round(bands[..., 0] / 255 * 31) / 31 * 255
        Image.fromarray(levels.astype(np.uint8)).save(path, optimize=True)
    else:
        image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PICTURES)}; all by default")
    parser.add_argument("--budget", help="of each training; its recipe's by default")
    parser.add_argument("--again", action="store_true", help="train again what is there")
    arguments = parser.parse_args()
    STATIC.mkdir(exist_ok=True)
    record_path = STATIC / "pictures.json"
    record = json.loads(record_path.read_text()) if record_path.is_file() else {}
    for name in arguments.names or PICTURES:
        draw, needed = PICTURES[name]
        missing = [s for s in needed if not trained(s)]
        if missing:
            print(f"{name}: skipped, there is no recipe of {', '.join(missing)}")
            continue
        studio = Studio(arguments.budget, arguments.again)
        image = draw(studio)
        if image is None:
            print(f"{name}: skipped, there is no browser to draw it")
            continue
        save(image, STATIC / f"{name}.png")
        record[name] = studio.commands
        size = (STATIC / f"{name}.png").stat().st_size
        print(f"{name}.png: {size / 1024:.0f} KB")
        for c in studio.commands:
            print(f"  {c['command']}  ({c['steps']} steps)")
        record_path.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
