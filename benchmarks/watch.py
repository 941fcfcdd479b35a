"""The clock that a benchmark hands to what it measures, and what else may listen to it."""

import resource
import time
from collections.abc import Callable

__all__ = ["Timed", "Watch"]


class Watch:
    """Wall and processor time of a call, which may leave out its set-up and its tidying.

    The clock runs from the call; ``start`` sets it back to zero, ``stop`` ends it.
    """

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.stopped = False
        self.start()

    def start(self) -> None:
        """Forget the time so far."""
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()

    def stop(self) -> None:
        """End the measurement; the first call counts."""
        if not self.stopped:
            self.wall, self.cpu = time.perf_counter() - self._wall, cpu_seconds() - self._cpu
            self.stopped = True


Timed = Callable[[Watch], object]
"""Work that is timed, or else watched, between the marks that it sets."""


def cpu_seconds() -> float:
    """Processor seconds of this process and of those that it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime
