"""Which labels a semi-supervised training uses, and that a run goes on with the same ones."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import phosphene as ph
from phosphene.catalog.recipe import recipes
from phosphene.core.errors import ConfigError, DataError, PhospheneError, RunError
from phosphene.core.event import Event
from phosphene.core.progress import Warned
from phosphene.data.dataset import Dataset
from phosphene.data.labels import oversample_labelled
from phosphene.subjects.dataset.choosing import select
from phosphene.subjects.dataset.labelling import labelled_again, with_number
from phosphene.train.folder import Run

SYSTEMS = ("semi-supervised-vae", "stacked-semi-supervised-vae")
SMALL = {"classifier_hidden": (8,), "latent_dim": 2}


def people(n: int = 600, labels: int = 60, classes: int = 3) -> Dataset:
    """Examples of which the first few are labelled."""
    g = torch.Generator().manual_seed(0)
    y = torch.where(torch.arange(n) < labels, torch.arange(n) % classes, -1)
    x = torch.randint(2, (n, 6), generator=g, dtype=torch.uint8)
    names = tuple("abcdefghijklmnop"[:classes])
    return Dataset(name="people", split="train", event=Event.binary(6), x=x, y=y, classes=names)


def trained(folder, data, *, system=SYSTEMS[0], budget="2steps", **options) -> Run:
    options = {"name": "r", "threads": 1, "model": SMALL, "folder": folder, **options}
    return ph.train(system, data=data, budget=budget, **options)


def used(run: Run) -> list[int]:
    return list(run.config["labelled"].values())


@pytest.mark.parametrize("system", SYSTEMS)
def test_all_labels_of_peoples_data_are_used(system, tmp_path):
    run = trained(tmp_path, people(), system=system)
    assert run.config["labelled"] == {"a": 20, "b": 20, "c": 20}
    assert run.config["labels"] is None


def test_a_fully_labelled_set_keeps_every_label(tmp_path):
    assert used(trained(tmp_path, people(labels=600))) == [200, 200, 200]


@pytest.mark.parametrize(
    ("asked", "kept"), [(30, [10, 10, 10]), (31, [10, 10, 11]), (60, [20] * 3)]
)
def test_the_number_asked_for_is_kept_and_balanced(asked, kept, tmp_path):
    said: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Warned):
            said.append(event.message)

    run = trained(tmp_path, people(), labels=asked, listeners=[listen])
    assert sorted(used(run)) == kept
    assert run.config["labels"] == asked
    assert any(f"{asked} " in s and "labels are used" in s for s in said), said


def test_a_class_with_few_labels_gives_all_it_has():
    few = people(labels=60)
    y = few.y.clone()
    y[(y == 2).nonzero()[4:, 0]] = -1  # four are left of c
    kept = replace(few, y=y).with_labels(30).y
    assert kept[kept >= 0].bincount().tolist() == [13, 13, 4]


def test_unknown_labels_are_never_chosen():
    for seed in range(5):
        assert int((people().with_labels(57, seed).y >= 0).sum()) == 57


@pytest.mark.parametrize(
    ("asked", "words"),
    [(61, r"1\.\.60.*'people', got 61"), (0, "at least 1.*got 0"), (-3, "at least 1.*got -3")],
)
def test_more_labels_than_there_are_is_one_sentence(asked, words, tmp_path):
    with pytest.raises(PhospheneError, match=words):
        trained(tmp_path, people(), labels=asked)
    assert not list(tmp_path.iterdir())


def test_data_without_any_label_are_refused(tmp_path):
    with pytest.raises(DataError, match="no example of the train split of 'people' has a label"):
        trained(tmp_path, people(labels=0))
    assert not list(tmp_path.iterdir())


def test_a_class_without_a_label_is_named(tmp_path):
    said = []
    data = replace(people(), classes=("a", "b", "c", "d"))
    run = trained(tmp_path, data, listeners=[said.append])
    assert used(run) == [20, 20, 20, 0]
    texts = [e.message for e in said if isinstance(e, Warned)]
    assert any("no label is of the class 'd'" in text for text in texts), texts


def test_systems_that_need_every_label_refuse_a_number(tmp_path):
    with pytest.raises(ConfigError, match=r"labels=3 .*'semi-supervised-vae' and 'stacked.*'vae'"):
        ph.train("vae", data=people(), labels=3, folder=tmp_path)
    with pytest.raises(ConfigError, match="is an agent: --labels is for a model of data"):
        ph.train("ppo", labels=3, folder=tmp_path)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_recipes_number_belongs_to_its_own_data(system):
    assert with_number(select(system), None, None).labels == 100
    assert with_number(select(system, "mnist-binary"), "mnist-binary", None).labels == 100
    assert with_number(select(system, "mnist-binary"), "mnist-binary", 7).labels == 7
    for other in ("digits-binary", "mnist", "npz:mine.npz"):
        assert with_number(select(system, other), other, None).labels is None
    own = replace(people(), name="mnist-binary")  # a Dataset that somebody made
    assert with_number(select(system, own.name), own, None).labels is None


def test_only_semi_supervised_recipes_withhold_labels():
    able = {r.system for r in recipes() if r.labelled_fraction is not None}
    assert able == set(SYSTEMS)
    assert all(r.labels is None for r in recipes() if r.system not in able)


def test_a_run_goes_on_with_the_labels_it_began_with(tmp_path):
    settings = {"labels": 31, "seed": 3, "train": {"schedule": "constant"}}
    whole = trained(tmp_path, people(), name="whole", budget="6steps", **settings)
    trained(tmp_path, people(), name="parts", budget="3steps", **settings)
    parts = ph.train(
        SYSTEMS[0], data=people(), name="parts", folder=tmp_path, budget="6steps", resume=True
    )
    assert parts.config["labelled"] == whole.config["labelled"]
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_run_does_not_go_on_with_other_labels(tmp_path):
    again = {"folder": tmp_path, "resume": True, "budget": "3steps"}
    trained(tmp_path, people(), labels=31, name="some")
    with pytest.raises(RunError, match="trained with labels=31, not 30"):
        ph.train(SYSTEMS[0], data=people(), labels=30, name="some", **again)
    ph.train(SYSTEMS[0], data=people(), labels=31, name="some", **again)
    trained(tmp_path, people(), name="all")
    with pytest.raises(RunError, match="trained on 60 labels of 'people' and these data have"):
        ph.train(SYSTEMS[0], data=people(labels=59), name="all", **again)


def formerly_kept(dataset: Dataset, n: int, seed: int) -> Dataset:
    """What runs without counts were trained on: -1 was one more class, with its share of n."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    y = dataset.y.numpy()
    ranks, position = np.empty(len(y), dtype=int), np.empty(len(y), dtype=int)
    for c in np.unique(y):
        rows = order[y[order] == c]
        ranks[rows] = np.arange(len(rows))
    position[order] = np.arange(len(y))
    kept = torch.from_numpy(np.lexsort((position, ranks))[:n])
    labels = torch.full_like(dataset.y, -1)
    labels[kept] = dataset.y[kept]
    return replace(dataset, y=labels)


@pytest.mark.parametrize("labels", [60, 600])
@pytest.mark.parametrize("seed", [0, 1, 8])
def test_runs_without_counts_go_on_with_the_labels_they_had(seed, labels):
    data = people(labels=labels)
    record = {"labels": 41, "labelled_fraction": 0.125, "seed": seed}
    again = labelled_again(data, record, "run")
    before = oversample_labelled(formerly_kept(data, 41, seed), 0.125)
    assert torch.equal(again.y, before.y)
    assert torch.equal(again.x, before.x)


def test_a_run_without_counts_resumes(tmp_path):
    run = trained(tmp_path, people(), labels=31)
    record = json.loads((run.path / "run.json").read_text())
    del record["labelled"]
    (run.path / "run.json").write_text(json.dumps(record))
    ph.train(SYSTEMS[0], data=people(), name="r", folder=tmp_path, resume=True, budget="3steps")
    plain = {"labels": None, "labelled_fraction": 0.125, "seed": 0}  # of any other system
    assert labelled_again(people(), plain, "run").y.equal(people().y)


def test_the_command_line_takes_the_number_and_says_what_is_used(tmp_path, monkeypatch, capsys):
    from phosphene.cli.main import main

    monkeypatch.chdir(tmp_path)
    data = people(n=800, labels=800)
    y = data.y.clone()
    y[torch.arange(800) % 8 > 0] = -1
    np.savez("mine.npz", x=data.x.numpy(), y=y.numpy())
    command = ["train", SYSTEMS[0], "--data", "npz:mine.npz?levels=2", "--budget", "2steps"]
    command += ["--threads", "1", "--model.classifier-hidden", "8", "--json"]
    assert main([*command, "--name", "all"]) == 0
    known = sum(Run(tmp_path / "runs" / "all").config["labelled"].values())
    assert known > 50
    assert main([*command, "--name", "few", "--labels", "12"]) == 0
    assert used(Run(tmp_path / "runs" / "few")) == [4, 4, 4]
    assert f"12 of {known} labels are used, 4 of each class" in " ".join(
        capsys.readouterr().err.split()
    )
    assert main([*command, "--name", "many", "--labels", "801"]) == 2


def test_examples_without_a_label_are_counted_as_no_class(tmp_path, monkeypatch, capsys):
    from phosphene.cli.main import main

    monkeypatch.chdir(tmp_path)
    data = people(labels=60)
    np.savez("mine.npz", x=data.x.numpy(), y=data.y.numpy())
    counted = without = 0
    for split in ("train", "validation", "test"):
        assert main(["data", "npz:mine.npz?levels=2", "--split", split, "--json"]) == 0
        facts = json.loads(capsys.readouterr().out)
        counted += sum(int(line.rpartition(" ")[2]) for line in facts["classes"])
        without += facts["without label"]
    assert (counted, without) == (60, 540)


def test_as_many_labels_of_other_classes_are_other_labels(tmp_path):
    data = people()
    run = trained(tmp_path, data)
    record = dict(run.config)
    labelled_again(data, record, "run")
    some = (data.y == 0).nonzero()[:5, 0]
    other = data.y.clone()
    other[some] = 1
    with pytest.raises(RunError, match="these data have others"):
        labelled_again(replace(data, y=other), record, "run")
