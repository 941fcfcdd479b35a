"""``phosphene doctor``: what is installed, and how this machine will be used."""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from tyro.conf import FlagCreatePairsOff

from phosphene.cli.output import print_json, print_table
from phosphene.cli.parsing import parse

_CORE = ("torch", "numpy", "safetensors", "tyro", "rich", "pillow", "matplotlib")
_OPTIONAL = {
    "onnx": "onnx",
    "onnxscript": "onnx",
    "datasets": "hub",
    "webdataset": "hub",
    "tensorboard": "track",
    "wandb": "track",
    "scikit-image": "images",
}
"""Package to the extra that brings it."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Say what is installed, how this machine will be used, and whether the data are intact.

    Args:
        json: Print JSON.
    """

    json: FlagCreatePairsOff[bool] = False


def main(argv: Sequence[str]) -> int:
    """Print the findings; exit with 2 if embedded data are damaged."""
    arguments = parse(Arguments, argv, "phosphene doctor")
    found = findings()
    if arguments.json:
        print_json(found)
    else:
        for title, part in found.items():
            print_table((title, ""), [(name, _words(value)) for name, value in part.items()])
    return 0 if all(state == "intact" for state in found["embedded data"].values()) else 2


def findings() -> dict[str, dict[str, Any]]:
    """Everything doctor knows, by topic."""
    from phosphene import __version__

    return {
        "versions": {
            "phosphene": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in _CORE},
        },
        "machine": _machine(),
        "kernels": _kernels(),
        "optional packages": {
            name: _version(name) or f"missing; pip install 'phosphene[{extra}]' brings it"
            for name, extra in _OPTIONAL.items()
        },
        "embedded data": _checksums(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _machine() -> dict[str, Any]:
    import torch

    from phosphene.train.probe import available_cores

    cuda = torch.cuda.is_available()
    fp32, bf16 = _convolution_times()
    ratio = fp32 / bf16
    advice = "--precision bf16 pays here" if ratio > 1.25 else "--precision fp32 is right here"
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": available_cores(),
        "threads of torch": torch.get_num_threads(),
        "GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "unset"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "unset"),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "distributed": "available" if torch.distributed.is_available() else "missing",
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "bf16": f"convolutions {ratio:.1f} times as fast as in fp32; {advice}",
        "load": f"{os.getloadavg()[0]:.1f} (1 minute)" if hasattr(os, "getloadavg") else "unknown",
        "executable": sys.executable,
    }


def _kernels() -> dict[str, str]:
    from phosphene.kernels.library import VARIABLE, backend

    found = backend()
    return {
        "backend": found.name,
        "why": found.why,
        VARIABLE: os.environ.get(VARIABLE, "unset"),
    }


def _convolution_times() -> tuple[float, float]:
    """Seconds of one convolution in fp32 and in bf16 on the CPU, the best of a few."""
    import torch

    x, layer = torch.zeros(32, 32, 28, 28), torch.nn.Conv2d(32, 32, 3, padding=1)

    def best(run: Callable[[], object]) -> float:
        times = []
        for _ in range(6):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return min(times[1:])

    half, x_half = torch.nn.Conv2d(32, 32, 3, padding=1).bfloat16(), x.bfloat16()
    with torch.no_grad():
        return best(lambda: layer(x)), best(lambda: half(x_half))


def _checksums() -> dict[str, str]:
    assets = files("phosphene.data") / "assets"
    known = json.loads((assets / "checksums.json").read_text())
    states = {}
    for name, entry in known.items():
        asset = assets / name
        if not asset.is_file():
            states[name] = "missing: install the package again"
        elif hashlib.sha256(asset.read_bytes()).hexdigest() != entry["sha256"]:
            states[name] = "damaged: install the package again"
        else:
            states[name] = "intact"
    return states


def _words(value: Any) -> str:
    return "missing" if value is None else str(value)
