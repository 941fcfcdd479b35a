"""Build ``assets/speech.npz`` from the Debian package ``asterisk-core-sounds-en-wav`` 1.6.1-1.

Phrases of two to four seconds by one speaker, 8 kHz. They are put in the order of the sha256 of
their file names and taken until there are ``SAMPLES`` of them; silence at their ends is cut to 50
ms. The last tenth of the phrases is the test part, the tenth before it validation.

Usage:
    apt-get download asterisk-core-sounds-en-wav
    python scripts/build_speech.py asterisk-core-sounds-en-wav_1.6.1-1_all.deb
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from assets import check_source, write

from phosphene.data.sound import mu_law_codes, read_wav

SHA256 = "2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d"
FOLDER = "usr/share/asterisk/sounds/en_US_f_Allison"
SAMPLES = 2_160_000
SILENCE, MARGIN = 0.01, 400


def trimmed(signal: np.ndarray) -> np.ndarray:
    """The signal with silence at its ends cut to the margin."""
    loud = np.flatnonzero(np.abs(signal) > SILENCE)
    return signal[max(0, loud[0] - MARGIN) : loud[-1] + MARGIN]


def phrases(folder: Path) -> dict[str, np.ndarray]:
    """Codes of the phrases that are taken, by file name."""
    files = sorted(folder.glob("*.wav"), key=lambda p: hashlib.sha256(p.name.encode()).digest())
    taken: dict[str, np.ndarray] = {}
    for path in files:
        signal, rate, notes = read_wav(path)
        assert (rate, notes) == (8000, ())
        if 2 <= len(signal) / rate < 4 and sum(map(len, taken.values())) < SAMPLES:
            taken[path.name] = mu_law_codes(trimmed(signal), 256)
    return taken


def main(package: Path) -> None:
    check_source(package, SHA256)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        taken = phrases(Path(folder) / FOLDER)
    source = {
        "package": "Debian asterisk-core-sounds-en-wav 1.6.1-1",
        "sha256": SHA256,
        "license": "CC BY-SA 3.0",
    }
    ends = np.cumsum([len(codes) for codes in taken.values()]).astype(np.uint32)
    held_out = round(len(taken) / 10)
    write(
        "speech",
        source,
        codes=np.concatenate(list(taken.values())),
        ends=ends,
        names=np.frombuffer("\n".join(taken).encode(), dtype=np.uint8),
        cuts=ends[[-2 * held_out - 1, -held_out - 1]],
    )
    print(f"{len(taken)} phrases, {ends[-1] / 8000:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
