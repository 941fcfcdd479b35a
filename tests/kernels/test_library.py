"""Finding, choosing and refusing the native library."""

import pytest
import torch

from phosphene.cli.doctor import findings
from phosphene.kernels import build, library
from phosphene.kernels.library import backend, forced, usable


@pytest.fixture(autouse=True)
def _nothing_remembered():
    library._load.cache_clear()
    yield
    library._load.cache_clear()


def test_off_means_torch():
    with forced("off") as found:
        assert (found.name, found.library) == ("torch", None)
        assert "PHOSPHENE_KERNELS=off" in found.why
        assert not usable(torch.zeros(1))


def test_an_unknown_choice_is_named():
    with forced("sse9") as found:
        assert found.library is None
        assert "sse9" in found.why
        assert "avx2" in found.why


def test_a_build_that_the_processor_cannot_run_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    with forced("avx512") as found:
        assert "cannot run" in found.why


def test_a_missing_library_says_how_to_build_it(monkeypatch):
    monkeypatch.setattr(library, "_find", lambda name: None)
    assert backend().library is None
    assert "phosphene.kernels.build" in backend().why


def test_a_damaged_library_and_one_of_another_interface_are_refused(monkeypatch, tmp_path):
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"no library")
    monkeypatch.setattr(library, "_find", lambda name: broken)
    assert "cannot be loaded" in backend().why
    monkeypatch.undo()
    library._load.cache_clear()
    if backend().library is None:
        pytest.skip(backend().why)
    library._load.cache_clear()
    monkeypatch.setattr(library, "_INTERFACE", -1)
    assert "was built for interface" in backend().why


def test_building_without_a_compiler_says_so(monkeypatch, capsys):
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    assert build.main() == 1
    assert "C++ compiler" in capsys.readouterr().err


def test_a_compiler_that_fails_leaves_nothing_behind(monkeypatch, tmp_path):
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(RuntimeError):
        build.build(tmp_path)
    assert not list(tmp_path.iterdir())


def test_doctor_says_which_backend_and_why(monkeypatch):
    monkeypatch.setattr("phosphene.cli.doctor._convolution_times", lambda: (1.0, 1.0))
    with forced("off"):
        found = findings()["kernels"]
    assert found["backend"] == "torch"
    assert "off" in found["why"]
