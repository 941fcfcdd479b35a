"""Options of the verbs for data sets."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from phosphene.core.ranges import COUNT
from phosphene.subjects.flags import hidden, metavar

__all__ = ["CompareOptions", "EvaluateOptions", "SampleOptions", "TrainOptions"]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a model of data is trained on.

    Args:
        data: A data set's name, or an adapter such as folder:./photos; phosphene data lists them.
        validation: What the best weights and early stopping are decided by, where that is not the
            validation split of the data: in Python, a Dataset of one's own has none.
        labels: How many labels a semi-supervised system uses, the same of each class; by default
            all that there are, or the recipe's number on the recipe's own data.
        context: What the model is conditioned on: label, image, vector, or columns of a table
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


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What is drawn of a model of data.

    Args:
        number: How many samples, or how many of each --image; of interpolations, traversals,
            translations, inpaintings and paths, how many rows.
        npz: Also write the array.
        label: Ask a conditional model for this label, by its number or its name.
        given: The columns that a table's model is conditioned on, or a CSV file of such rows, with
            -n draws of each; by default, those of test rows.
        image: Condition on this picture, or on each of a folder, instead of test examples.
        control: The same, by the name that users of ControlNet know: edges, a mask or a sketch, of
            the size of the model's images.
        from_image: Begin with this picture, or each of a folder, and draw others like it (-n of
            each).
        strength: How far those may be from it: above 0, and at most 1, which forgets it.
        mask: With --from-image, what is painted anew: white is filled in, black is kept.
        path: How samples come about: a row for each, from noise to the sample.
        animate: The same as a moving picture of all samples, GIF or PNG (APNG) by the ending of
            --out.
        mean: Show the means that samples scatter around, where the model has them.
        temperature: Below 1 is nearer to the mode and 0 is the mode, for samplers that know it.
        top_k: Choose each value among the K most probable.
        top_p: Choose each value among the fewest that have this probability together.
        prompt: Text that a model of text goes on from.
        inpaint: Test images, their upper halves, and the model's lower halves.
        prior: Decode draws from a density fitted to the training codes: normal or mixture.
        interpolate: Ways between test examples: the model's own, or straight lines between codes.
        traverse: One latent dimension at a time.
        translate: Test examples, each in its own style under every label.
        data: Other data whose test examples are interpolated, inpainted or conditioned on.
    """

    number: Annotated[int | None, metavar("N", default=False, short="-n"), COUNT] = None
    npz: bool = False
    label: Annotated[str | None, metavar("LABEL", default=False)] = None
    given: Annotated[str | None, metavar("A=1,B=2", default=False)] = None
    image: Annotated[str | None, metavar("PATH", default=False)] = None
    control: Annotated[str | None, metavar("PATH", default=False)] = None
    from_image: Annotated[str | None, metavar("PATH", default=False)] = None
    strength: Annotated[float | None, metavar("S", default=False)] = None
    mask: Annotated[str | None, metavar("FILE", default=False)] = None
    path: bool = False
    animate: bool = False
    mean: bool = False
    temperature: Annotated[float | None, metavar("T", default=False)] = None
    top_k: Annotated[int | None, metavar("K", default=False), COUNT] = None
    top_p: Annotated[float | None, metavar("P", default=False)] = None
    prompt: Annotated[str | None, metavar("TEXT", default=False)] = None
    inpaint: bool = False
    prior: Annotated[Literal["normal", "mixture"] | None, metavar("", default=False)] = None
    interpolate: bool = False
    traverse: bool = False
    translate: bool = False
    data: Annotated[str | None, metavar("DATA", default=False)] = None
