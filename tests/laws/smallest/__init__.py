"""Small settings for the laws, a file for each family: ``SETTINGS``, perhaps ``CONTEXTS``."""

from phosphene.core.event import Event

TINY_IMAGE = Event.image(1, 2, levels=4)
"""Few enough states that a decoder of many levels can be summed over all of them."""
