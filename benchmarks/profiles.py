"""Where the time of a piece of work goes, in one line: for rows where ours is the slower one."""

import cProfile
import re
from collections import defaultdict
from pathlib import Path

from benchmarks.watch import Timed, Watch

__all__ = ["parts", "why"]

_SHOWN = 5
_TIMES, _SECONDS = 50, 0.3  # a profile of few milliseconds says little
_PACKAGE = re.compile(r"(?:site-packages|src)/(\w+)|/(benchmarks)/")


class _Profiled(Watch):
    """A watch that profiles what lies between its marks."""

    def __init__(self) -> None:
        self.profile = cProfile.Profile()
        super().__init__()

    def start(self) -> None:
        """Begin anew."""
        self.profile.disable()
        self.profile.clear()
        super().start()
        self.profile.enable()

    def stop(self) -> None:
        """Profile no more."""
        self.profile.disable()
        super().stop()


def parts(work: Timed) -> tuple[dict[str, float], int]:
    """Shares of the time between the marks, the largest first, and calls each time.

    Short work is done several times.

    A share is that of a native kernel, of operators or of the backward pass of a library, of a
    package's own Python, or of Python's. Profiling slows each call of Python by about as much as it
    takes, so that shares of Python are a little large.

    Example:
        >>> import torch
        >>> a = torch.randn(300, 300)
        >>> next(iter(parts(lambda watch: [torch.mm(a, a) for _ in range(9)])[0]))
        "torch's operators"
    """
    seconds: dict[str, float] = defaultdict(float)
    calls = times = 0
    while times < _TIMES and sum(seconds.values()) < _SECONDS:
        watch = _Profiled()
        work(watch)
        watch.stop()
        for entry in watch.profile.getstats():
            code = entry.code
            part = _built_in(code) if isinstance(code, str) else _part(code.co_filename)
            seconds[part] += entry.inlinetime
            calls += entry.callcount
        times += 1
    total = sum(seconds.values()) or 1.0
    largest = sorted(seconds, key=seconds.__getitem__, reverse=True)
    return {part: seconds[part] / total for part in largest}, calls // times


def _built_in(name: str) -> str:
    if "run_backward" in name:
        return "torch's backward pass"
    found = re.search(r"torch|numpy|scipy", name)
    if found:
        return f"{found[0]}'s operators"
    return "files" if re.search(r"posix|_io\.", name) else "Python itself"


def _part(file: str) -> str:
    if file.startswith("<gate of "):
        return f"kernel {file[9:-1]}"
    package = _PACKAGE.search(Path(file).as_posix())
    return f"{package[1] or package[2]} in Python" if package else "Python itself"


def why(theirs: Timed, ours: Timed) -> str:
    """One line: of both, where the time goes."""
    told = []
    for who, work in (("ours", ours), ("theirs", theirs)):
        shares, calls = parts(work)
        largest = list(shares.items())[:_SHOWN]
        told.append(f"{who}, {calls:,} calls: " + ", ".join(f"{s:.0%} {p}" for p, s in largest))
    return "why: " + "; ".join(told)
