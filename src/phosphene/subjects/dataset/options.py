"""What may be said of data sets to the verbs."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from phosphene.core.ranges import COUNT
from phosphene.subjects.flags import hidden, metavar

__all__ = ["CompareOptions", "EvaluateOptions", "TrainOptions"]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a model of data is trained on.

    Args:
        data: A data set's name, or an adapter such as folder:./photos; phosphene data lists them.
        validation: What the best weights and early stopping are decided by, where that is not the
            validation split of the data: in Python, a Dataset of one's own has none.
        labels: How many labels a semi-supervised system uses, the same of each class; by default
            all that there are, or the recipe's number on the recipe's own data.
        context: What the model is told of each example: label, image, vector, or columns of a table
            as vector:a,b or label:class; none for nothing. By default, what the recipe says.
    """

    data: Annotated[str | None, metavar("DATA")] = None
    validation: Annotated[Any, hidden()] = None
    labels: Annotated[int | None, metavar("N"), COUNT] = None
    context: Annotated[tuple[str, ...] | None, metavar("PART ...", default=False)] = None


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What a model of data is scored on.

    Args:
        samples: How many samples are drawn for the distances.
        particles: Importance-weighted particles an example; 500, or 1 for flows, whose bound is
            that of dequantization.
        split: The examples to score on.
        data: Other data to score on, of the model's event.
        reference: The examples that the model was trained on, for a run on a Dataset of one's own.
    """

    samples: Annotated[int, metavar("N"), COUNT] = 1000
    particles: Annotated[int | None, metavar("K", default=False), COUNT] = None
    split: Literal["test", "validation", "train"] = "test"
    data: Annotated[str | None, metavar("DATA", default=False)] = None
    reference: Annotated[Any, hidden()] = None


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What models of data are compared on.

    Args:
        data: A data set's name; phosphene data lists them.
        samples: Samples drawn for the distances.
        particles: Importance-weighted particles an example; 500, or 1 for flows, whose bound is
            that of dequantization.
    """

    data: Annotated[str, metavar("DATA")] = "digits-binary"
    samples: Annotated[int, metavar("N"), COUNT] = 1000
    particles: Annotated[int | None, metavar("K", default=False), COUNT] = None
