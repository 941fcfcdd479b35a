"""Build the native library in place: in a checkout that is used without being installed, or later.

    python -m phosphene.kernels.build

The libraries lie beside this file, where git ignores them and the loader finds them first. It calls
the compiler itself, with the flags of CMakeLists.txt; installed packages are built by CMake.
"""

import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["build", "main"]

_FLAGS = (
    "-std=c++17", "-O3", "-fPIC", "-shared", "-pthread", "-s", "-fno-math-errno",
    "-fno-trapping-math", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-Wall", "-Wextra",
)  # fmt: skip
_LEVELS = {"baseline": (), "avx2": ("-march=x86-64-v3",), "avx512": ("-march=x86-64-v4",)}


def build(folder: Path | None = None) -> list[Path]:
    """Compile every level that this kind of machine has; return the libraries.

    Args:
        folder: Where they go; beside this file by default.

    Raises:
        RuntimeError: There is no compiler, or it fails; its message is the error's.
    """
    here = Path(__file__).parent
    folder = folder or here
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise RuntimeError("no C++ compiler was found (c++, g++, or the one that CXX names)")
    sources = [str(path) for path in sorted((here / "src").glob("*.cpp"))]
    intel = platform.machine() in ("x86_64", "AMD64") and sys.platform != "darwin"
    levels = _LEVELS if intel else {"baseline": ()}

    def compile_level(item: tuple[str, tuple[str, ...]]) -> Path:
        level, flags = item
        path = folder / f"libphosphene_{level}.so"
        # Written aside and moved, so that a process that has the old one open keeps it.
        aside = path.with_suffix(f".{os.getpid()}")
        command = [compiler, *_FLAGS, *flags, *sources, "-o", str(aside)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            aside.unlink(missing_ok=True)
            raise RuntimeError(done.stderr)
        aside.replace(path)
        return path

    with ThreadPoolExecutor(min(len(levels), os.cpu_count() or 1)) as pool:
        return list(pool.map(compile_level, levels.items()))


def main() -> int:
    """Build, and name what was built."""
    try:
        for path in build():
            print(path)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
