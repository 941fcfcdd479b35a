import pytest
import torch
from torch import nn

from phosphene.core.event import Event
from phosphene.core.model import Model
from phosphene.core.protocols import Bounded, Density, Encodes, Samples, available_if


class Coin(Model):
    """A coin whose likelihood is exact only when it is fair."""

    def __init__(self, event: Event, *, fair: bool = True) -> None:
        super().__init__(event)
        self.fair = fair
        self.p = nn.Parameter(torch.tensor(0.5))

    @available_if(lambda self: self.fair, "only a fair coin has an exact likelihood")
    def log_prob(self, x: torch.Tensor, context: object = None) -> torch.Tensor:
        """Its documentation."""
        return self.p.log().expand(len(x))

    def sample(
        self, n: int, context: object = None, *, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        return torch.zeros(n, 1)


class Crooked(Coin):
    pass


@pytest.mark.parametrize("cls", [Coin, Crooked])
def test_hasattr_and_isinstance_tell_the_truth_of_the_instance(cls: type[Coin]) -> None:
    fair, bent = cls(Event.binary(1)), cls(Event.binary(1), fair=False)
    assert hasattr(fair, "log_prob")
    assert isinstance(fair, Density)
    assert not hasattr(bent, "log_prob")
    assert not isinstance(bent, Density)
    for coin in (fair, bent):
        assert isinstance(coin, Samples)
        assert not isinstance(coin, Bounded)
        assert not isinstance(coin, Encodes)


def test_the_truth_follows_the_instance_when_it_changes() -> None:
    coin = Coin(Event.binary(1), fair=False)
    coin.fair = True
    assert isinstance(coin, Density)
    assert coin.log_prob(torch.zeros(3, 1)).shape == (3,)


def test_a_withheld_method_says_why() -> None:
    with pytest.raises(AttributeError, match="Coin has no log_prob: only a fair coin"):
        _ = Coin(Event.binary(1), fair=False).log_prob


def test_other_missing_names_are_plain() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        _ = Coin(Event.binary(1)).no_such


def test_the_documentation_is_kept() -> None:
    assert Coin.log_prob.__doc__ == "Its documentation."


def test_a_class_that_inherits_a_protocol_is_an_ordinary_class() -> None:
    class Sampler(Samples):
        pass

    class Other:
        def sample(self) -> None: ...

    assert isinstance(Sampler(), Sampler)
    assert isinstance(Sampler(), Samples)
    assert not isinstance(Other(), Sampler)
