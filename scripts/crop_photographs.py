"""Write a folder of square crops of scikit-image's photographs, with whole regions held out.

    python scripts/crop_photographs.py ./photos --size 64

gives ``photos/train``, ``photos/validation`` and ``photos/test``, as ``folder:./photos`` reads
them. Photographs are cut into regions two crops wide; one region in eight is for validation and
one for test, and no pixel is in two parts. Training crops start every quarter of a crop.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from phosphene.data.patches import PHOTOGRAPHS


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("scikit-image is not installed: pip install 'phosphene[images]'")
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    counts = write(data, arguments.folder, arguments.size)
    print(", ".join(f"{n} {part}" for part, n in counts.items()))


def write(data: Path, folder: Path, size: int) -> dict[str, int]:
    """Write the crops; how many each part has."""
    regions = []
    for name in PHOTOGRAPHS:
        pixels = np.asarray(Image.open(data / f"{name}.png").convert("RGB"))
        side = 2 * size
        for row in range(0, pixels.shape[0] - side + 1, side):
            for column in range(0, pixels.shape[1] - side + 1, side):
                regions.append(
                    (name, row, column, pixels[row : row + side, column : column + side])
                )
    order = np.random.RandomState(0).permutation(len(regions))  # its stream is frozen
    held = max(1, len(regions) // 8)
    counts = {"train": 0, "validation": 0, "test": 0}
    for place, k in enumerate(order):
        name, row, column, region = regions[k]
        part = "validation" if place < held else "test" if place < 2 * held else "train"
        step = size // 4 if part == "train" else size
        (folder / part).mkdir(parents=True, exist_ok=True)
        for i in range(0, region.shape[0] - size + 1, step):
            for j in range(0, region.shape[1] - size + 1, step):
                crop = region[i : i + size, j : j + size]
                Image.fromarray(crop).save(folder / part / f"{name}-{row + i}-{column + j}.png")
                counts[part] += 1
    return counts


if __name__ == "__main__":
    main()
