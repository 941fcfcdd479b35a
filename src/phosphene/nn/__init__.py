"""Building blocks: networks, output distributions, Gaussian divergences. They know no task."""
