"""``python -m phosphene``, which is also what ``torchrun -m phosphene`` starts."""

import sys

from phosphene.cli.main import main

if __name__ == "__main__":
    sys.argv[0] = "phosphene"  # so that a run records the command as it can be typed again
    sys.exit(main())
