"""Each command does its job on a small trained run, and speaks JSON alone when asked."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import phosphene as ph
from phosphene.api.export import export, part_of
from phosphene.catalog import systems
from phosphene.subjects.dataset.drawing import interpolate, sample, translate, traverse


def test_systems_lists_every_row(phosphene):
    done = phosphene("systems")
    assert all(row.name in done.out for row in systems())
    rows = phosphene("systems", "--json", "--family", "autoencoder").json
    assert [row["name"] for row in rows] == [row.name for row in systems("autoencoder")]
    assert {"name", "family", "kind", "title", "events", "paper"} <= set(rows[0])


def test_data_lists_and_describes(phosphene, here):
    assert "mnist-binary" in phosphene("data", "--list").out
    assert {row["name"] for row in phosphene("data", "--json").json} >= {"digits", "moons"}
    facts = phosphene("data", "digits", "--json", "--out", "digits.png").json
    assert facts["examples"] == 1297
    assert facts["range"] == [0.0, 16.0]
    assert len(facts["classes"]) == 10
    assert Image.open("digits.png").size[0] > 300
    assert phosphene("data", "moons", "--out", "moons.png").code == 0
    assert Image.open("moons.png").size[0] > 300


def test_evaluate_prints_and_writes_scores(phosphene, trained):
    done = phosphene("evaluate", trained.path, "--samples", "60", "--particles", "5", "--json")
    assert done.code == 0, done.err
    scores = done.json
    assert scores["iwae_nll"]["kind"] == "importance-weighted"
    assert scores["elbo"]["kind"] == "bound"
    assert set(scores["frechet_distance"]) >= {"value", "kind", "floor"}
    for score in scores.values():
        assert set(score) <= {"value", "kind", "stderr", "floor"}
    written = json.loads((trained.path / "evaluation.json").read_text())
    assert written["scores"]["elbo"]["value"] == scores["elbo"]["value"]
    assert written["particles"] == 5
    table = phosphene("evaluate", trained.path, "--samples", "60", "--particles", "5").out
    assert "importance-weighted" in table
    assert "floor" in table


def test_evaluate_from_python_is_the_same(trained):
    first = ph.evaluate(trained, samples=60, particles=5, seed=3)
    again = ph.evaluate(trained.path, samples=60, particles=5, seed=3)
    assert first == again


def test_a_run_is_found_by_its_name_below_runs(phosphene, trained, monkeypatch):
    monkeypatch.chdir(trained.path.parent.parent)
    assert phosphene("sample", "images", "-n", "4", "--out", "x.png").code == 0


def test_sample_writes_a_grid_and_an_array(phosphene, trained, here):
    done = phosphene("sample", trained.path, "-n", "9", "--out", "a/grid.png", "--npz")
    assert done.out.split() == ["a/grid.png", "a/grid.npz"]
    assert Image.open("a/grid.png").size == (3 * 80 + 4 * 3, 3 * 80 + 4 * 3)
    x = np.load("a/grid.npz")["x"]
    assert x.shape == (9, 1, 8, 8)
    assert x.dtype == np.uint8
    assert set(np.unique(x)) <= {0, 1}
    assert ph.data.load("npz:a/grid.npz", "train").event.shape == (1, 8, 8)


def test_the_same_seed_gives_the_same_samples(trained):
    a, b, c = sample(trained, 4, seed=1), sample(trained, 4, seed=1), sample(trained, 4, seed=2)
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, c.x)


def test_a_prior_fitted_to_the_codes_can_be_drawn_from(phosphene, trained, here):
    a, b = sample(trained, 4, prior="mixture"), sample(trained, 4, prior="mixture")
    assert torch.equal(a.x, b.x)
    assert not torch.equal(a.x, sample(trained, 4, prior="normal").x)
    assert phosphene("sample", trained.path, "--prior", "mixture", "--out", "f.png").code == 0
    done = phosphene("sample", trained.path, "--prior", "mixtur")
    assert done.code == 2
    assert "mixture" in done.err


def test_interpolations_begin_and_end_at_examples(phosphene, trained, here):
    drawn = interpolate(trained, 3, count=5)
    rows = drawn.x.view(3, 7, 1, 8, 8)
    model = trained.model
    for end, inner in ((0, 1), (6, 5)):
        back = model.reconstruct(rows[:, end].round())
        torch.testing.assert_close(rows[:, inner], back, atol=1e-5, rtol=0)
    assert phosphene("sample", trained.path, "--interpolate", "--out", "i.png").code == 0


def test_traversals_change_one_dimension(phosphene, trained, here):
    drawn = traverse(trained, 4, steps=3)
    assert drawn.x.shape == (12, 1, 8, 8)
    assert not torch.equal(drawn.x[0], drawn.x[2])
    assert phosphene("sample", trained.path, "--traverse", "-n", "2", "--out", "t.png").code == 0


def test_translations_are_each_example_under_every_label(phosphene, trained, tmp_path, here):
    run = ph.train(
        "semi-supervised-vae", data="digits-binary", budget="2steps", threads=1, name="m2",
        folder=tmp_path, model={"classifier_hidden": (8,), "latent_dim": 2},
    )  # fmt: skip
    drawn = translate(run, 3)
    rows = drawn.x.view(3, 11, 1, 8, 8)
    for label in (0, 7):
        under = run.model.translate(rows[:, 0].round(), ph.Context(label=torch.full((3,), label)))
        torch.testing.assert_close(rows[:, 1 + label], under.to(rows.dtype), atol=1e-5, rtol=0)
    assert phosphene("sample", run.path, "--translate", "-n", "2", "--out", "y.png").code == 0
    done = phosphene("sample", trained.path, "--translate")
    assert done.code == 2
    assert "does not translate examples to other labels" in done.err


def test_samples_of_points_are_drawn_too(phosphene, plane, here):
    done = phosphene("sample", plane.path, "-n", "50", "--out", "p.png", "--npz", "--json")
    assert done.json["shape"] == [50, 2]
    assert np.load("p.npz")["x"].dtype == np.float32


@pytest.mark.parametrize("what", ["decoder", "encoder"])
@pytest.mark.parametrize("rows", [1, 7])
def test_torchscript_gives_the_same_output(trained, tmp_path, what, rows):
    path = export(trained, format="torchscript", what=what, out=tmp_path / "m.pt")
    loaded = torch.jit.load(str(path))
    x = ph.data.load("digits-binary", "test").x[:rows]
    z = trained.model.encode(x)
    given, expected = (z, trained.model.decode(z)) if what == "decoder" else (x.float(), z)
    torch.testing.assert_close(loaded(given), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("what", ["decoder", "encoder"])
def test_onnx_gives_the_same_output_for_any_number_of_rows(trained, tmp_path, what):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = export(trained, what=what, out=tmp_path / "m.onnx")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    test = ph.data.load("digits-binary", "test").x
    for rows in (1, 2, 7):
        x = test[:rows]
        z = trained.model.encode(x).detach()
        given, name = (z, "z") if what == "decoder" else (x.float(), "x")
        expected = trained.model.decode(z) if what == "decoder" else z
        (found,) = session.run(None, {name: given.numpy()})
        np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4)


@pytest.mark.parametrize("format", ["torchscript", "onnx"])
def test_a_conditional_decoder_takes_labels(tmp_path, format):
    runtime = pytest.importorskip("onnxruntime")
    test = ph.data.load("digits-binary", "test")
    model = ph.build("vae", test.event, test.context, latent_dim=3, hidden=(8,)).eval()
    run = ph.train(
        "vae", data="digits-binary", budget="1steps", folder=tmp_path, name="a", threads=1
    )
    model.save(run.path / "model", "vae")
    for name in ("best", "ema"):
        (run.path / "model" / f"{name}.safetensors").unlink(missing_ok=True)
    path = export(ph.Run(run.path), format=format, out=tmp_path / "m")
    z, label = torch.randn(5, 3), torch.arange(5)
    with torch.no_grad():
        expected = model.decode(z, ph.Context(label=label))
        if format == "torchscript":
            found = torch.jit.load(str(path))(z, label)
        else:
            session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            feed = {"z": z.numpy(), "label": label.numpy()}
            found = torch.from_numpy(session.run(None, feed)[0])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_exporting_leaves_the_run_as_it_was(trained):
    part_of(trained, "decoder")
    with pytest.raises(ph.PhospheneError):
        trained.model.event.check(torch.full((1, 1, 8, 8), 7))


def test_a_part_that_no_model_has_is_named_with_the_nearest(phosphene, trained):
    done = phosphene("export", trained.path, "--format", "torchscript", "--what", "decodr")
    assert done.code == 2
    assert "'decodr'" in done.err
    assert "did you mean 'decoder'" in done.err
    done = phosphene("export", trained.path, "--format", "torchscript", "--what", "policy")
    assert done.code == 2
    assert "it has decoder and encoder" in done.err


def test_export_writes_samples_too(phosphene, trained):
    done = phosphene("export", trained.path, "--format", "torchscript", "--samples", "4", "--json")
    names = [path.rpartition("/")[2] for path in done.json["written"]]
    assert names == ["decoder.pt", "samples.png", "samples.npz"]


def test_compare_groups_by_kind_and_writes_everything(phosphene, here):
    done = phosphene(
        "compare", "vae", "autoencoder", "--data", "digits-binary", "--budget", "5steps",
        "--samples", "60", "--particles", "3", "--threads", "1", "--name", "c", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    rows = done.json["rows"]
    assert [row["system"] for row in rows] == ["vae", "autoencoder"]
    assert rows[0]["kind"] == "importance-weighted"
    assert rows[0]["steps"] == 5
    for name in ("compare.json", "compare.png", "report.html", "vae-seed0/run.json"):
        assert (here / "runs" / "c" / name).is_file()
    again = phosphene("compare", "vae", "--data", "digits-binary", "--name", "c")
    assert again.code == 2


def test_doctor_finds_the_machine_and_intact_data(phosphene):
    found = phosphene("doctor", "--json").json
    assert found["versions"]["torch"] == torch.__version__
    assert set(found["embedded data"].values()) == {"intact"}
    assert found["machine"]["cores"] >= 1
    assert "phosphene[track]" in phosphene("doctor").out or "wandb" in found["optional packages"]


def test_demo_ends_in_a_report(phosphene, here):
    done = phosphene("demo", "--budget", "5steps", "--data", "digits-binary", "--name", "d")
    assert done.code == 0, done.err
    assert "importance-weighted" in done.out
    assert "runs/d/report.html" in done.out
    assert (here / "runs" / "d" / "report.html").is_file()
