"""The test of the suite: faults of many kinds, one after another, and each is caught.

What catches a fault is the law or the test that stands in the suite for it, run twice: on sound
code, where it passes, and on code that is broken on purpose, where it must fail. The list of all:

    python -m tests.faults.test_faults
"""

from collections import Counter

import pytest

from tests.faults import acting, models, training
from tests.faults.fault import FAULTS, Caught, Fault

__all__ = ["acting", "models", "training"]


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.says.replace(" ", "-") for fault in FAULTS])
def test_it_is_caught(fault: Fault, monkeypatch, tmp_path) -> None:
    fault.check(False, tmp_path / "sound")
    fault.plant(monkeypatch)
    with pytest.raises(Caught):
        fault.check(True, tmp_path / "broken")


def test_there_is_one_of_each_kind() -> None:
    twice = [kind for kind, n in Counter(fault.kind for fault in FAULTS).items() if n > 1]
    assert not twice, twice
    assert len(FAULTS) >= 30


if __name__ == "__main__":
    for fault in FAULTS:
        print(f"{fault.kind:20} {fault.says:56} {fault.caught_by}")
