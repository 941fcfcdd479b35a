"""``python -m phosphene``, which is also what ``torchrun -m phosphene`` starts."""

import sys

from phosphene.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
