"""Ours beside the package a user would pick instead, one module a family.

Every library is held to one thread, before any of them is imported, so that a figure means the
same on a laptop and on a large machine.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
