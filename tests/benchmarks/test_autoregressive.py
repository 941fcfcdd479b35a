"""The autoregressive benchmark at a tiny size: it compares before it times, and writes its JSON."""

import json

import pytest

from benchmarks import autoregressive, cached_wavenet, zuko_maf
from benchmarks.common import Watch, run_all, write_json
from phosphene.kernels.library import forced
from phosphene.kernels.masked import masked_sample


@pytest.fixture(autouse=True)
def _without_the_modules_of_their_own(monkeypatch):
    for module in (autoregressive.pythae_pixelcnn, autoregressive.hugging_face_transformer):
        monkeypatch.setattr(module, "cases", lambda *, quick: iter(()))


TINY = autoregressive.Size(
    flows=((6, 10, 3),), nade=(9, 8, 4), drawn=(4,), audio=(60, 3, 1), rounds=1, slow=1,
    quick=True,
)  # fmt: skip


@pytest.mark.parametrize("kernels", ["auto", "off"])
def test_every_case_agrees_and_is_written_as_json(tmp_path, kernels):
    with forced(kernels) as found:
        rows = run_all(autoregressive.cases(TINY), 1, ())
    write_json(rows, tmp_path / "rows.json")
    written = json.loads((tmp_path / "rows.json").read_text())
    names = [row["case"] for row in written]
    assert len(set(names)) == len(names)
    assert any("native" in name for name in names) == (found.library is not None)
    assert any("NADE training step" in name for name in names)
    for row in written:
        assert row["max_difference"] < 1e-4
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])


@pytest.mark.parametrize(("dimensions", "hidden"), [(5, 16), (20, 7), (12, 30)])
def test_flows_of_any_width_are_transplanted(dimensions, hidden):
    pytest.importorskip("zuko")
    for case in zuko_maf.cases(((dimensions, hidden, 4),)):
        assert case.check() < 1e-5


def test_another_kernel_is_noticed(monkeypatch):
    pytest.importorskip("zuko")

    def wrong(*args, **kwargs):
        return masked_sample(*args, **kwargs) + 0.01

    monkeypatch.setattr(zuko_maf, "masked_sample", wrong)
    cases = [case for case in zuko_maf.cases(((6, 10, 3),)) if "native" in case.name]
    for case in cases:
        with pytest.raises(AssertionError, match="differ"):
            case.check()


def test_the_naive_loop_is_counted_from_the_steps_that_are_timed():
    watch, steps = Watch(), []
    cached_wavenet._first(watch, 2, 2000, steps.append)
    assert steps == [0, 1]
    assert watch.stopped
    before = watch.wall
    watch.stop()
    assert watch.wall == before
