"""What a training must not meet: the judge's episodes, those of scores and films, held-out data."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import phosphene as ph
from phosphene.catalog.recipe import recipes
from phosphene.core.environment import Environment, Step
from phosphene.data import load
from phosphene.data.dataset import Dataset
from phosphene.subjects.dataset import splits as planning
from phosphene.subjects.dataset import subject as training
from phosphene.subjects.dataset.held_out import HeldOut
from phosphene.subjects.environment import judge as acting
from phosphene.subjects.environment import playing
from phosphene.subjects.environment import subject as training_place
from phosphene.subjects.environment.playing import film, play_run
from phosphene.train.folder import Run
from tests.api.test_staging import SETTINGS

# -- episodes ---------------------------------------------------------------------------------


class Noted:
    """An environment, and the first observations of the episodes that were played in it."""

    def __init__(self, inner: Environment, starts: set[tuple[float, ...]]) -> None:
        self.inner, self.starts = inner, starts

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def _note(self, observations: Tensor) -> None:
        self.starts |= {tuple(row) for row in observations.tolist()}

    def reset(self) -> Tensor:
        first = self.inner.reset()
        self._note(first)
        return first

    def step(self, action: Tensor) -> Step:
        step = self.inner.step(action)
        self._note(step.observation[step.done])
        return step


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[tuple[float, ...]]]:
    """Where episodes began, by who played them; an episode of CartPole is known by its start."""
    found: dict[str, set[tuple[float, ...]]] = {}

    def watching(who: str, module: object) -> None:
        make = module.make  # type: ignore[attr-defined]

        def made(*args: object, **settings: object) -> Noted:
            by = "training" if "first" in settings else who
            return Noted(make(*args, **settings), found.setdefault(by, set()))

        monkeypatch.setattr(module, "make", made)

    watching("training", training_place)
    watching("judge", acting)
    watching("scores", playing)
    return found


SMALL = {
    "ppo": {"environments": 4, "steps": 16, "epochs": 1, "batch_size": 64},
    "dqn": {"environments": 4, "capacity": 2000, "warmup": 100, "act_steps": 4},
}


@pytest.mark.parametrize("system", SMALL)
def test_episodes_of_scores_and_films_are_met_by_nobody_else(
    system: str, starts: dict[str, set[tuple[float, ...]]], tmp_path: Path
) -> None:
    run = ph.train(
        system, env="CartPole-v1", budget="1500steps", folder=tmp_path, threads=1,
        model={"hidden": (8,), **SMALL[system]},
        train={"evaluate_every": 1000, "validation_share": None, "validation_episodes": 30},
    )  # fmt: skip
    play_run(run, 20)
    sampled = starts.pop("scores")
    film(run, episodes=2)
    filmed = starts.pop("scores")
    ph.evaluate(run, episodes=20)
    starts |= {"scores": starts["scores"] | sampled, "films": filmed}
    for who, met in starts.items():
        assert len(met) >= (2 if who == "films" else 20), f"{who} met {len(met)} episodes"
    for a, b in (("training", "judge"), ("training", "scores"), ("training", "films"),
                 ("judge", "scores"), ("judge", "films")):  # fmt: skip
        assert not starts[a] & starts[b], f"episodes of {a} are also those of {b}"


@pytest.mark.parametrize("seeds", [(0, 0), (0, 1), (1, 0), (7, 3)])
def test_other_seeds_evaluate_other_episodes(
    seeds: tuple[int, int], starts: dict[str, set[tuple[float, ...]]], tmp_path: Path
) -> None:
    """The seed of a training and that of an evaluation both say which episodes are played."""
    of_run, of_scores = seeds
    run = ph.train(
        "ppo", env="CartPole-v1", budget="64steps", folder=tmp_path, threads=1, seed=of_run,
        name="run", model={"hidden": (8,), **SMALL["ppo"]},
    )  # fmt: skip
    play_run(run, 8, seed=of_scores)
    first = starts.pop("scores")
    play_run(run, 8, seed=of_scores)
    assert starts.pop("scores") == first
    play_run(run, 8, seed=of_scores + 1)
    assert not starts.pop("scores") & first


# -- data -------------------------------------------------------------------------------------


def rows(x: Tensor) -> set[bytes]:
    return {row.numpy().tobytes() for row in x}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[Dataset]:
    """The data sets by which weights were chosen, in turn."""
    seen: list[Dataset] = []

    class Watched(HeldOut):
        def __init__(self, dataset: Dataset, seed: int, limit: int) -> None:
            super().__init__(dataset, seed, limit)
            seen.append(dataset)

    monkeypatch.setattr(training, "HeldOut", Watched)
    return seen


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Dataset]:
    """The data sets that were trained on, in turn."""
    seen: list[Dataset] = []
    plain = training.DatasetSource

    class Watched(plain):  # type: ignore[misc, valid-type]
        def __init__(self, dataset: Dataset, *args: object, **more: object) -> None:
            super().__init__(dataset, *args, **more)
            seen.append(dataset)

    monkeypatch.setattr(training, "DatasetSource", Watched)
    return seen


@pytest.mark.parametrize("resumed", [False, True])
def test_weights_are_chosen_by_the_validation_split(
    resumed: bool, judged: list[Dataset], trained: list[Dataset], tmp_path: Path
) -> None:
    said = {"data": "digits-binary", "folder": tmp_path, "threads": 1, "name": "run"}
    ph.train("vae", budget="2steps", **said)  # type: ignore[arg-type]
    if resumed:
        judged.clear()
        trained.clear()
        ph.train("vae", budget="4steps", resume=True, **said)  # type: ignore[arg-type]
    (by,), (on,) = judged, trained
    assert torch.equal(by.x, load("digits-binary", "validation").x)
    assert torch.equal(on.x, load("digits-binary", "train").x)
    assert by.split == "validation"
    test = load("digits-binary", "test").x
    # Small images do repeat, a few of them; of another's split, all would.
    assert len(rows(by.x) & rows(on.x)) < 0.1 * len(by)
    assert len(rows(by.x) & rows(test)) < 0.1 * len(by)


def test_each_stage_is_chosen_by_the_validation_split(
    judged: list[Dataset], trained: list[Dataset], tmp_path: Path
) -> None:
    ph.train(
        "vq-vae-prior", data="digits-binary", folder=tmp_path, threads=1, budget="8steps",
        model=SETTINGS,
    )  # fmt: skip
    assert [len(d) for d in judged] == [len(load("digits-binary", "validation"))] * 2
    assert [len(d) for d in trained] == [len(load("digits-binary", "train"))] * 2


FEW_LABELS = [r for r in recipes() if r.labels is not None and r.name == "default"]


def few(system: str) -> dict[str, object]:
    """A tiny training of a system that may use few labels, on digits."""
    hidden: dict[str, object] = {"latent_dim": 2, "hidden": (8,), "classifier_hidden": (8,)}
    if system.startswith("stacked"):
        hidden |= {"feature_dim": 3, "second_hidden": (8,)}
    return {"data": "digits-binary", "labels": 100, "budget": "30steps", "threads": 1,
            "model": hidden, "train": {"evaluate_every": 5, "batch_size": 50}}  # fmt: skip


def test_there_are_recipes_of_few_labels() -> None:
    assert {r.system for r in FEW_LABELS} >= {"semi-supervised-vae"}


@pytest.mark.parametrize("system", sorted({r.system for r in FEW_LABELS}))
@pytest.mark.parametrize("how", ["named", "own", "resumed"])
def test_no_label_beyond_the_few_chooses_weights(
    system: str, how: str, judged: list[Dataset], trained: list[Dataset], tmp_path: Path
) -> None:
    """A training that may use few labels is neither trained nor judged by others."""
    said = few(system) | {"folder": tmp_path, "name": "run"}
    if how == "own":
        said["validation"] = load("digits-binary", "validation")
    ph.train(system, **said)  # type: ignore[arg-type]
    if how == "resumed":
        judged.clear()
        trained.clear()
        again = {k: v for k, v in said.items() if k not in ("model", "train")}
        ph.train(system, **{**again, "budget": "35steps"}, resume=True)  # type: ignore[arg-type]
    allowed = Run(tmp_path / "run").config["labels"]
    for data in judged:
        assert data.y is None or bool((data.y == -1).all()), "the judge sees labels"
    for data in trained:
        assert data.y is not None
        known = {int(i) for i in (data.y >= 0).nonzero()}
        assert len(rows(data.x[sorted(known)])) <= allowed


@pytest.mark.parametrize("system", sorted({r.system for r in FEW_LABELS}))
def test_other_labels_of_the_validation_split_change_nothing(system: str, tmp_path: Path) -> None:
    validation = load("digits-binary", "validation")
    assert validation.y is not None
    other = replace(validation, y=(validation.y + 3) % 10)
    made = [
        ph.train(system, **few(system), validation=v, folder=tmp_path, name=name)  # type: ignore
        for name, v in (("true", validation), ("false", other))
    ]
    told = [[{k: v for k, v in row.items() if k != "seconds"} for row in r.metrics] for r in made]
    assert told[0] == told[1], "what is measured moves with labels"


def test_all_splits_are_named_as_they_are_asked_for() -> None:
    """A split that is another's under its own name would fool every test above."""
    for name in ("digits-binary", "moons", "bars3"):
        splits = {s: load(name, s) for s in ("train", "validation", "test")}
        assert all(data.split == s for s, data in splits.items())
        assert planning.load_split(name, "validation").x.equal(splits["validation"].x)
    assert not rows(load("moons", "train").x) & rows(load("moons", "validation").x)
    assert not rows(load("moons", "test").x) & rows(load("moons", "validation").x)
