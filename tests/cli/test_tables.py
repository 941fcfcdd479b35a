"""A table with named columns, from the command line: trained, evaluated, sampled, reported."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.data.dataset import Dataset
from phosphene.evaluate.sections.table import coverage, each
from phosphene.subjects.dataset.rows import given_rows
from phosphene.train.folder import Run

SMALL = {
    "maf": ("--model.layers", "2", "--model.hidden", "16", "16"),
    "made": ("--model.hidden", "32"),
    "vae": ("--model.hidden", "32", "--model.latent-dim", "2"),
}


def write(path: Path, unit: float = 1.0, n: int = 400) -> None:
    """Yield depends on rain and heat: y = 2 a - b and a little noise, in the unit of a; a label."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, n))
    y = 2 * a - b + 0.3 * rng.normal(size=n)
    rows = [[f"{unit * a[i]:.6g}", f"{b[i]:.5f}", f"{y[i]:.5f}", f"{a[i] + 5:.5f}",
             ("dry", "wet")[int(a[i] > 0)]] for i in range(n)]  # fmt: skip
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["rain", "heat", "yield", "height", "season"], *rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tables")
    write(path / "crops.csv")
    write(path / "crops-in-mm.csv", 1000.0)
    return path


@pytest.mark.parametrize("system", SMALL)
def test_a_table_from_training_to_report(
    phosphene, folder: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.chdir(folder)
    common = ("--budget", "60steps", "--threads", "1", *SMALL[system])
    told = ("--context", "label", "vector:rain,heat", "--name", system)
    done = phosphene("train", system, "--data", "csv:crops.csv", *told, *common)
    assert done.code == 0, done.err
    record = Run(folder / "runs" / system).config
    assert record["context"] == ["label", "vector:rain,heat"]
    assert record["columns"] == ["yield", "height"]
    assert record["vector_columns"] == ["rain", "heat"]
    assert record["classes"] == ["dry", "wet"]

    scores = phosphene("evaluate", system, "--json", "--samples", "40", "--particles", "5").json
    assert scores["elbo" if system == "vae" else "nll"]["value"] != 0
    if "frechet_distance" in scores:
        assert scores["frechet_distance"]["kind"] == "standardized features"

    assert phosphene("sample", system, "-n", "5").code == 0
    rows = list(csv.DictReader((folder / "runs" / system / "samples" / "samples.csv").open()))
    assert len(rows) == 5
    assert list(rows[0]) == ["yield", "height", "rain", "heat", "season"]
    assert (folder / "runs" / system / "samples" / "samples.png").stat().st_size > 1000

    given = ("--given", "rain=1.5,heat=-1", "--label", "wet", "--out", "given.csv")
    assert phosphene("sample", system, "-n", "3", *given).code == 0
    rows = list(csv.DictReader((folder / "given.csv").open()))
    assert {(r["rain"], r["heat"], r["season"]) for r in rows} == {("1.5", "-1.0", "wet")}
    (folder / "new.csv").write_text("heat,rain,season\n1,2,wet\n3,4,dry\n")
    own = ("--given", "new.csv", "--out", "own.csv")
    assert phosphene("sample", system, "-n", "2", *own).code == 0
    rows = list(csv.DictReader((folder / "own.csv").open()))
    assert [r["season"] for r in rows] == ["wet", "wet", "dry", "dry"]
    many = ("--given", "new.csv", "--label", "dry", "--out", "many.csv")
    assert phosphene("sample", system, "-n", "2", *many).code == 0
    rows = list(csv.DictReader((folder / "many.csv").open()))
    assert [(float(r["rain"]), float(r["heat"])) for r in rows] == [(2, 1)] * 2 + [(4, 3)] * 2

    assert phosphene("report", system).code == 0
    page = (folder / "runs" / system / "report.html").read_text()
    for part in ("Columns", "Pairs of columns", "Given the condition", "central 90%", "height"):
        assert part in page


def test_a_table_is_described_by_its_columns(phosphene, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    facts = phosphene("data", "csv:crops.csv", "--json", "--out", "look.png").json
    assert facts["train / validation / test"] == "320 / 40 / 40"
    named = [text.partition(":")[0] for text in facts["columns"]]
    assert named == ["rain", "heat", "yield", "height"]
    assert facts["label"] == "season"
    assert (folder / "look.png").stat().st_size > 1000


def test_units_of_a_condition_do_not_matter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs times 1,000 must cost nothing: the same seed learns the same."""
    monkeypatch.chdir(folder)
    found = []
    for name in ("crops", "crops-in-mm"):
        run = ph.train(
            "maf", data=f"csv:{name}.csv", context="vector:rain,heat", budget="40steps",
            name=f"unit-{name}", threads=1, layers=2, hidden=(16, 16),
        )  # fmt: skip
        found.append(ph.evaluate(run, samples=30)["nll"].value)
    assert found[0] == pytest.approx(found[1], abs=1e-3)


def test_mistakes_with_columns_are_one_sentence(phosphene, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    train = ("train", "maf", "--data", "csv:crops.csv", "--budget", "2steps", "--threads", "1")
    small = ("--model.layers", "1", "--model.hidden", "8")
    assert phosphene(*train, *small, "--context", "vector:rain", "--name", "one").code == 0
    mistakes = [
        (*train, "--name", "x", "--context", "vector:rian"),
        (*train, "--name", "x", "--context", "image"),
        (*train, "--name", "x", "--context", "rain"),
        ("train", "rbm", "--data", "csv:crops.csv", "--name", "x", "--context", "label"),
        ("sample", "one", "--given", "rian=1"),
        ("sample", "one", "--given", "rain=much"),
        ("sample", "one", "--given", "missing.csv"),
        ("sample", "one", "--label", "wet"),
        (*train, "--name", "x", "--context"),
        (*train, "--name", "x", "--context", "label:rain"),
        ("evaluate", "one", "--data", "csv:given-nothing.csv"),
        ("train", "maf", "--resume", "--name", "one", "--context", "vector:heat"),
    ]
    for mistake in mistakes:
        result = phosphene(*mistake)
        assert result.code == 2, mistake
        assert len(result.err.strip().splitlines()) == 1, (mistake, result.err)
        assert "Traceback" not in result.err
    assert not (folder / "runs" / "x").exists()


def test_other_data_are_read_by_the_names_of_their_columns(
    phosphene, folder: Path, monkeypatch
) -> None:
    """Columns in another order, and labels of which some do not occur, are the same data."""
    monkeypatch.chdir(folder)
    rows = list(csv.DictReader((folder / "crops.csv").open()))
    heads = ["season", "height", "yield", "heat", "rain"]
    with (folder / "turned.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, heads)
        writer.writeheader()
        writer.writerows(rows)
    ph.train(
        "vae", data="csv:crops.csv", context=["label", "vector:heat"], budget="30steps",
        name="turn", threads=1, hidden=(16,), latent_dim=2,
    )  # fmt: skip
    own = phosphene("evaluate", "turn", "--json", "--samples", "30", "--particles", "3").json
    turned = phosphene(
        "evaluate", "turn", "--json", "--samples", "30", "--particles", "3", "--data",
        "csv:turned.csv",
    ).json  # fmt: skip
    assert own["elbo"]["value"] == pytest.approx(turned["elbo"]["value"], rel=1e-6)


def test_rare_values_and_stamps_train_at_any_seed(tmp_path: Path, phosphene, monkeypatch) -> None:
    """A column that is 0 but for four rows varies, whatever is in the first batch."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(800, 3))
    x[:, 1] = 0
    x[[3, 99, 500, 700], 1] = 1
    np.savez("rare.npz", x=x)
    time = 1_700_000_000 + np.sort(np.random.default_rng(1).uniform(0, 3600, 200))
    np.savez("stamps.npz", x=np.stack([time, x[:200, 0]], 1))
    np.savez("flat.npz", x=np.stack([np.full(200, 3.0), x[:200, 0]], 1))
    for seed in range(3):
        args = ("--budget", "2steps", "--seed", seed, "--threads", "1", "--model.layers", "2")
        small = ("--train.batch-size", "32", "--model.hidden", "8")
        made = phosphene("train", "realnvp", "--data", "npz:rare.npz", *args, *small)
        assert made.code == 0, made.err
        flat = phosphene(
            "train", "realnvp", "--data", "npz:flat.npz", "--name", "flat", *args, *small
        )
        assert flat.code == 2
        assert "'x0'" in flat.err
        assert "constant (3)" in flat.err
        assert not Path("runs/flat").exists()
    for system in ("vae", "maf", "made", "linear-vae"):
        run = ph.train(system, data="npz:stamps.npz", budget="20steps", name=system, threads=1)
        scores = ph.evaluate(run, samples=30, particles=3)
        value = scores["elbo" if system == "vae" else "nll"].value
        assert 5 < abs(value) < 20
        assert len(run.model.sample(100)[:, 0].unique()) > 90


def test_draws_of_each_row_cover_what_is_true(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    run = ph.train(
        "maf", data="csv:crops.csv", context="vector:rain,heat", budget="300steps", name="cover",
        threads=1, layers=2, hidden=(32, 32),
    )  # fmt: skip
    data = ph.data.load("csv:crops.csv", "test")
    vector = data.x[:, :2]
    drawn = each(run.model, 300, ph.Context(vector=vector), seed=0)
    assert coverage(data.x[:, 2:], drawn)[1] > 0.75
    truth = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    right = torch.randn(4000, 99, 2, generator=torch.Generator().manual_seed(1))
    assert coverage(truth, right) == pytest.approx([0.5, 0.9], abs=0.02)
    assert coverage(truth, 3 * right)[0] > 0.6
    assert torch.equal(given_rows(run, run.model, {"heat": 2.0, "rain": 1.0}),
                       torch.tensor([[1.0, 2.0]], dtype=torch.float64))  # fmt: skip


def test_a_dataset_with_a_vector_is_told_by_name(tmp_path: Path) -> None:
    g = torch.Generator().manual_seed(0)
    v = torch.randn(200, 2, generator=g)
    x = v.sum(1, keepdim=True) + 0.1 * torch.randn(200, 1, generator=g)
    data = Dataset(name="own", split="train", event=ph.Event.real(1), x=x, vector=v)
    small = {"budget": "5steps", "folder": tmp_path, "threads": 1}
    told = ph.train("made", data=data, context="vector", name="a", hidden=(8,), **small)
    assert told.model.context == ph.ContextSpec(vector=ph.Event.real(2))
    plain = ph.train("made", data=data, name="b", hidden=(8,), **small)
    assert not plain.model.context
    again = ph.train(
        "made", data=data, context="vector", name="a", resume=True, folder=tmp_path,
        budget="8steps", threads=1,
    )  # fmt: skip
    assert again.model.sample(2, ph.Context(vector=v[:3]), each=True).shape == (3, 2, 1)
