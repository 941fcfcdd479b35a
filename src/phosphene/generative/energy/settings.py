"""Groups of settings that models of energies share."""

from phosphene.core.config import Configured
from phosphene.core.ranges import Count
from phosphene.core.settings import setting

__all__ = ["ChainSettings"]


class ChainSettings(Configured):
    """Persistent chains."""

    steps: Count = setting(default=1, help="Gibbs steps, or sweeps over all units, an update.")
    chain_count: Count = setting(
        alias="chains", default=100, help="Number of persistent chains (at each temperature)."
    )
