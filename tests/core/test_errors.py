import pytest

from phosphene.core import errors
from phosphene.core.errors import PhospheneError, UnknownNameError, listed, nearest

KNOWN = ["vae", "beta-vae", "glow", "autoencoder", "linear-autoencoder"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vaee", "vae"),
        ("VAE", "vae"),
        ("betavae", "beta-vae"),
        ("autoencodr", "autoencoder"),
        ("zzzzzz", None),
        ("", None),
    ],
)
def test_the_nearest_name(name: str, expected: str | None) -> None:
    assert nearest(name, KNOWN) == expected


def test_an_unknown_name_says_what_is_known() -> None:
    near, far = UnknownNameError("system", "vaee", KNOWN), UnknownNameError("system", "zzz", KNOWN)
    assert "unknown system 'vaee'; did you mean 'vae'?" in str(near)
    assert "did you mean" not in str(far)
    for error in (near, far):
        assert "Known: autoencoder, beta-vae, glow, linear-autoencoder, vae" in str(error)
        assert "\n" not in str(error)


def test_nothing_known_is_still_a_sentence() -> None:
    assert str(UnknownNameError("system", "x", []))


def test_long_lists_are_cut() -> None:
    assert listed(map(str, range(5)), most=3) == "0, 1, 2, ... (2 more)"
    assert listed("abc", most=3) == "a, b, c"


def test_every_error_is_the_users_to_mend() -> None:
    for name in errors.__all__:
        value = getattr(errors, name)
        if isinstance(value, type):
            assert issubclass(value, PhospheneError)
            assert issubclass(value, ValueError)
