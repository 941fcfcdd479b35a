"""All laws, by name. A law raises AssertionError with a sentence that says what is broken.

``LAWS`` take a maker of models and a row; ``ROW_LAWS`` take the row alone. Two laws need an
engine and live in ``tests/distributed``: a resumed run is bit-identical to one never stopped, and
one rank and two ranks agree. Their ground is laid here: ``law_loss_is_a_mean`` proves that a loss
and its noise may be cut into micro-batches, and ``law_saves_and_loads`` that nothing is forgotten.
"""

from tests.laws import completion, conditions, contexts, general, likelihood, sampling
from tests.laws.rows import ROW_LAWS, row_laws
from tests.laws.support import CONCERNS, LAWS, Case, cases

__all__ = [
    "CONCERNS", "LAWS", "ROW_LAWS", "Case", "cases", "completion", "conditions", "contexts",
    "general", "likelihood", "row_laws", "sampling",
]  # fmt: skip
