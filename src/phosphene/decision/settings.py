"""Groups of settings that agents share."""

from phosphene.core.config import Configured
from phosphene.core.ranges import Part
from phosphene.core.settings import setting

__all__ = ["DiscountSettings"]


class DiscountSettings(Configured):
    """What later rewards are worth."""

    gamma: Part = setting(default=0.99, help="Discount factor of later rewards.")
