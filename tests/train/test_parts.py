"""The engine's parts: sources, schedules, probes, compilation, sinks, the run folder."""

import json

import pytest
import torch

import phosphene as ph
from phosphene.core.errors import ConfigError, RunError
from phosphene.core.progress import Evaluated, StepEnd, Warned
from phosphene.subjects.dataset.source import DatasetSource
from phosphene.train import probe
from phosphene.train.compiling import compiled
from phosphene.train.files import write_atomically
from phosphene.train.folder import Run, load
from phosphene.train.schedule import factor, make_optimizer
from phosphene.train.settings import Budget, TrainSettings
from phosphene.train.shares import share
from tests.train.toys import OnePhase, dataset


def test_batches_are_functions_of_seed_and_number():
    data = dataset(50)
    a, b = DatasetSource(data, 32, 0), DatasetSource(data, 32, 0)
    list(map(a.indices, range(9)))
    assert torch.equal(a.indices(9), b.indices(9))
    assert not torch.equal(a.indices(9), DatasetSource(data, 32, 1).indices(9))


def test_an_epoch_meets_every_example_once():
    source = DatasetSource(dataset(96), 32, 0)
    for epoch in range(2):
        seen = torch.cat([source.indices(3 * epoch + k) for k in range(3)])
        assert torch.equal(seen.sort().values, torch.arange(96))


def test_a_batch_larger_than_the_data_repeats_it():
    index = DatasetSource(dataset(10), 32, 0).indices(0)
    assert len(index) == 32
    assert index.bincount(minlength=10).min() >= 3


@pytest.mark.parametrize("world", [1, 2, 3, 5])
def test_ranks_share_the_global_batch(world):
    whole = DatasetSource(dataset(), 32, 0).next(4)
    parts = [DatasetSource(dataset(), 32, 0, rank, world).next(4) for rank in range(world)]
    assert torch.equal(whole.x, torch.cat([p.x for p in parts]))
    assert torch.equal(whole.normal((3,)), torch.cat([p.normal((3,)) for p in parts]))
    rows = [share(32, rank, world) for rank in range(world)]
    assert rows[0][0] == 0
    assert rows[-1][1] == 32


def test_streams_share_examples_and_not_noise():
    source = DatasetSource(dataset(), 32, 0)
    a, b = source.next(0, stream=0), source.next(0, stream=1)
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.normal((2,)), b.normal((2,)))


def test_schedules():
    cosine = TrainSettings(schedule="cosine", warmup=10, final_lr=0.1)
    assert factor(cosine, 0, 0.0) == pytest.approx(0.1)
    assert factor(cosine, 100, 1.0) == pytest.approx(0.1)
    assert factor(TrainSettings(schedule="linear"), 5, 0.25) == 0.75
    assert factor(TrainSettings(), 5, 0.9) == 1.0


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd", "lbfgs"])
def test_optimizers_by_name(name):
    model = OnePhase(dataset().event)
    made = make_optimizer(
        list(model.parameters()), TrainSettings(optimizer=name), torch.device("cpu")
    )
    assert type(made).__name__.lower() == name


@pytest.mark.parametrize(
    "wrong", [{"lr": 0.0}, {"batch_size": 0}, {"ema": 1.0}, {"accumulate": 3}, {"log_every": 0}]
)
def test_bad_settings_name_the_value(wrong):
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        TrainSettings(**wrong)


def test_budgets_read_back():
    for text in ("60s", "3000steps", "5epochs"):
        assert str(Budget.parse(text)) == text
    assert Budget.parse("10m") == Budget(seconds=600.0)
    assert Budget.parse("1.5h") == Budget(seconds=5400.0)


def test_the_probe_leaves_the_model_alone(monkeypatch):
    monkeypatch.setattr(probe, "available_cores", lambda: 2)
    model = OnePhase(dataset().event)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    threads = torch.get_num_threads()
    try:
        chosen = probe.choose_threads(
            model, DatasetSource(dataset(), 32, 0), TrainSettings(batch_size=32), "fp32"
        )
    finally:
        torch.set_num_threads(threads)
    assert chosen in (1, 2)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_compile_falls_back_with_a_warning(monkeypatch):
    def broken(function):
        def fail(batch):
            raise RuntimeError("no compiler here")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    told = []
    model = OnePhase(dataset().event)
    batch = DatasetSource(dataset(), 32, 0).next(0)
    loss = compiled([told.append])(model.loss)
    first = loss(batch)
    assert isinstance(told[0], Warned)
    assert "no compiler here" in told[0].message
    batch.noise.draws = 0
    assert torch.equal(first.total, loss(batch).total)
    assert len(told) == 1


def test_tensorboard_gets_the_scalars(tmp_path):
    pytest.importorskip("tensorboard")
    from phosphene.train.sinks.tracking import TensorBoardSink

    sink = TensorBoardSink(tmp_path)
    sink(StepEnd(1, 0.1, 0.5, None, {"loss": 2.0}))
    sink(Evaluated(1, 0.1, {"loss": 3.0}, True))
    sink.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written = EventAccumulator(str(tmp_path / "tensorboard"))
    written.Reload()
    assert set(written.Tags()["scalars"]) == {"train/loss", "validation/loss"}


def test_what_is_not_a_run_is_named(tmp_path):
    with pytest.raises(RunError, match="there is no run at"):
        Run(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"it has no run\.json"):
        Run(tmp_path)
    (tmp_path / "mine").mkdir()
    write_atomically(tmp_path / "mine" / "run.json", "{}")
    with pytest.raises(RunError, match=r"did you mean .*mine"):
        Run(tmp_path / "mina")


def test_damaged_files_are_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text("{ not json")
    with pytest.raises(RunError, match="cannot be read as JSON"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(RunError, match="schema 99"):
        load(tmp_path)


def test_a_table_prepares_its_model_with_the_moments_of_all_rows() -> None:
    from phosphene.data.dataset import Dataset
    from phosphene.subjects.dataset.source import DatasetSource

    x = torch.arange(600.0).view(300, 2)
    data = Dataset(
        name="t", split="train", event=ph.Event.real(2), x=x, columns=("a", "b"),
        vector=3 * x, vector_columns=("c", "d"),
    )  # fmt: skip
    source = DatasetSource(data, 16, seed=0)
    batch = source.whole(ph.build("maf", data.event, hidden=(8,), layers=1))
    assert len(batch) == 300
    assert batch.moments is not None
    assert batch.moments.mean.tolist() == x.double().mean(0).tolist()
    assert source.dataset.vector_moments is not None
    assert source.dataset.vector_moments.high.tolist() == (3 * x).amax(0).tolist()
    plain = DatasetSource(ph.data.load("moons"), 16, seed=0)
    assert len(plain.whole(ph.build("maf", ph.Event.real(2), hidden=(8,), layers=1))) == 16
