import subprocess
import sys

import pytest

import phosphene as ph


@pytest.mark.parametrize(
    "code",
    [
        "import phosphene",
        "import phosphene; phosphene.systems(); phosphene.__version__; dir(phosphene)",
        "import phosphene.core.errors, phosphene.core.config, phosphene.core.event",
        "import phosphene; phosphene.systems()[0].paper; phosphene.PhospheneError",
    ],
)
def test_no_torch_until_it_is_used(code: str) -> None:
    check = f"{code}; import sys; assert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_spinning_is_short_unless_the_user_says_otherwise() -> None:
    code = "import phosphene, os; print(os.environ['GOMP_SPINCOUNT'])"
    for given, expected in ((None, "10000"), ("7", "7")):
        environment = {"PYTHONPATH": ":".join(sys.path)}
        if given:
            environment["GOMP_SPINCOUNT"] = given
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment
        )
        assert done.stdout.strip() == expected, done.stderr


@pytest.mark.parametrize("name", ph.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(ph, name) is not None
    assert name in dir(ph)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        _ = ph.no_such
