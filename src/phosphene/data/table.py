"""The table of data sets that come with the library. It imports no torch: listing is instant."""

from dataclasses import dataclass

__all__ = ["Adapter", "Row", "adapters", "names"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One data set that comes with the library, embedded or computed.

    Args:
        name: What the user types.
        title: What it is, in a few words.
        event: What one example is, in words.
        examples: Numbers of train, validation and test examples.
        target: ``module:function`` that makes one split of it.
        licence: Of the data.
        requires: An optional package that it needs.
    """

    name: str
    title: str
    event: str
    examples: tuple[int, int, int]
    target: str
    licence: str = "Apache-2.0"
    requires: str | None = None


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One way of reading the user's own data.

    Args:
        name: What the user types before the colon.
        title: What it reads, in a few words.
        example: What the user types.
        target: ``module:function``; its keyword-only parameters are the options.
        requires: An optional package that it needs.
        nested: What follows the colon is another data set, with that one's options.
        outward: ``module:function`` that says of an argument what it does beside reading files of
            this machine, such as "runs a command", or "".
        kind: Of event that it always reads: ``image``, ``tokens`` or ``audio``; empty where the
            files decide.
    """

    name: str
    title: str
    example: str
    target: str
    requires: str | None = None
    nested: bool = False
    outward: str = ""
    kind: str = ""


_MNIST = "CC BY-SA 3.0 (package MIT)"
_UCI = "CC BY 4.0"
_OPENMOJI = "CC BY-SA 4.0"

_ROWS = (
    Row(
        name="mnist",
        title="handwritten digits, the first 10,000 of MNIST",
        event="image 1x28x28, 256 levels",
        examples=(8000, 1000, 1000),
        licence=_MNIST,
        target="phosphene.data.embedded:mnist",
    ),
    Row(
        name="mnist-binary",
        title="MNIST, one fixed Bernoulli(x/255) draw",
        event="image 1x28x28, 2 levels",
        examples=(8000, 1000, 1000),
        licence=_MNIST,
        target="phosphene.data.embedded:mnist_binary",
    ),
    Row(
        name="mnist-x4",
        title="MNIST, each digit beside its means of 4 x 4 pixels",
        event="image 1x28x28, 256 levels",
        examples=(8000, 1000, 1000),
        licence=_MNIST,
        target="phosphene.data.low_resolution:mnist_x4",
    ),
    Row(
        name="mnist-edges",
        title="MNIST, each digit beside its edges",
        event="image 1x28x28, 256 levels",
        examples=(8000, 1000, 1000),
        licence=_MNIST,
        target="phosphene.data.image_conditions:mnist_edges",
    ),
    Row(
        name="digits",
        title="UCI optical digits",
        event="image 1x8x8, 17 levels",
        examples=(1297, 200, 300),
        licence=_UCI,
        target="phosphene.data.embedded:digits",
    ),
    Row(
        name="digits-binary",
        title="UCI optical digits, pixel >= 8",
        event="image 1x8x8, 2 levels",
        examples=(1297, 200, 300),
        licence=_UCI,
        target="phosphene.data.embedded:digits_binary",
    ),
    Row(
        name="digits-edges",
        title="UCI optical digits, each beside its edges",
        event="image 1x8x8, 17 levels",
        examples=(1297, 200, 300),
        licence=_UCI,
        target="phosphene.data.image_conditions:digits_edges",
    ),
    Row(
        name="sprites",
        title="procedural shapes with five known factors",
        event="image 1x32x32, 256 levels",
        examples=(4944, 600, 600),
        target="phosphene.data.sprites:sprites",
    ),
    Row(
        name="sprites-binary",
        title="the sprites in black and white, at half of full brightness",
        event="image 1x32x32, 2 levels",
        examples=(4944, 600, 600),
        target="phosphene.data.sprites:sprites_binary",
    ),
    Row(
        name="sprites16",
        title="procedural shapes with five known factors",
        event="image 1x16x16, 256 levels",
        examples=(4944, 600, 600),
        target="phosphene.data.sprites:sprites16",
    ),
    Row(
        name="sprites-masks",
        title="colored shapes on a ground, given their segmentation maps",
        event="image 3x16x16, 256 levels",
        examples=(14_832, 600, 600),
        target="phosphene.data.pairs:sprites_masks",
    ),
    Row(
        name="masks-sprites",
        title="segmentation maps of shapes, given their colored pictures",
        event="image 1x16x16, 4 levels",
        examples=(14_832, 600, 600),
        target="phosphene.data.pairs:masks_sprites",
    ),
    Row(
        name="openmoji",
        title="color emoji in 11 groups of meaning",
        event="image 3x32x32, 256 levels",
        examples=(1896, 237, 231),
        licence=_OPENMOJI,
        target="phosphene.data.openmoji:openmoji",
    ),
    Row(
        name="openmoji-lines",
        title="color emoji, each with its black lines as the condition",
        event="image 3x32x32, 256 levels",
        examples=(1586, 193, 193),
        licence=_OPENMOJI,
        target="phosphene.data.openmoji:openmoji_lines",
    ),
    Row(
        name="openmoji-x4",
        title="OpenMoji, each drawing beside its means of 4 x 4 pixels",
        event="image 3x32x32, 256 levels",
        examples=(1896, 237, 231),
        licence=_OPENMOJI,
        target="phosphene.data.low_resolution:openmoji_x4",
    ),
    Row(
        name="openmoji-edges",
        title="OpenMoji, each drawing beside its edges",
        event="image 3x32x32, 256 levels",
        examples=(1896, 237, 231),
        licence=_OPENMOJI,
        target="phosphene.data.image_conditions:openmoji_edges",
    ),
    Row(
        name="natural-patches",
        title="patches of three photographs, regions apart (needs scikit-image)",
        event="image 3x16x16, 256 levels",
        examples=(5390, 288, 288),
        licence="CC0, public domain",
        target="phosphene.data.patches:natural_patches",
        requires="scikit-image",
    ),
    Row(
        name="bars3",
        title="bars and stripes, 14 patterns",
        event="image 1x3x3, 2 levels",
        examples=(1400, 140, 140),
        target="phosphene.data.bars:bars3",
    ),
    Row(
        name="bars4",
        title="bars and stripes, 30 patterns",
        event="image 1x4x4, 2 levels",
        examples=(3000, 300, 300),
        target="phosphene.data.bars:bars4",
    ),
    Row(
        name="moons",
        title="two half circles, log-density known",
        event="real 2",
        examples=(20_000, 2_000, 5_000),
        target="phosphene.data.densities:moons",
    ),
    Row(
        name="ring8",
        title="8 Gaussians on a circle, log-density known",
        event="real 2",
        examples=(20_000, 2_000, 5_000),
        target="phosphene.data.densities:ring8",
    ),
    Row(
        name="grid25",
        title="5 x 5 Gaussians, log-density known",
        event="real 2",
        examples=(20_000, 2_000, 5_000),
        target="phosphene.data.densities:grid25",
    ),
    Row(
        name="checkerboard",
        title="uniform on the dark squares of a board, log-density known",
        event="real 2",
        examples=(20_000, 2_000, 5_000),
        target="phosphene.data.densities:checkerboard",
    ),
    Row(
        name="spirals",
        title="two spiral arms, log-density known",
        event="real 2",
        examples=(20_000, 2_000, 5_000),
        target="phosphene.data.densities:spirals",
    ),
    Row(
        name="heavy-tails",
        title="a bent Student t of 2 degrees of freedom, log-density known",
        event="real 2",
        examples=(20_000, 2_000, 5_000),
        target="phosphene.data.densities:heavy_tails",
    ),
    Row(
        name="moby-dick",
        title="the novel, chunks of characters",
        event="tokens 256, 83 levels",
        examples=(59_499, 465, 465),
        licence="CC0 1.0 (database PDDL 1.0)",
        target="phosphene.data.text:moby_dick",
    ),
    Row(
        name="speech",
        title="spoken phrases, one speaker, 8 kHz, windows of 0.5 s",
        event="audio 4000, 256 levels",
        examples=(4_261, 55, 57),
        licence="CC BY-SA 3.0",
        target="phosphene.data.speech:speech",
    ),
    Row(
        name="ar2",
        title="a Gaussian AR(2) process, entropy rate known",
        event="real 256",
        examples=(4_000, 500, 1_000),
        target="phosphene.data.sources:ar2",
    ),
    Row(
        name="markov3",
        title="a Markov chain of order 3, entropy rate known",
        event="tokens 256, 5 levels",
        examples=(4_000, 500, 1_000),
        target="phosphene.data.sources:markov3",
    ),
)

_ADAPTERS = (
    Adapter(
        name="folder",
        title="images, class subfolders as labels; or pairs: images/ and conditions/",
        example="folder:./photos?size=64&channels=3",
        target="phosphene.data.adapters.folder:folder",
        kind="image",
    ),
    Adapter(
        name="csv",
        title="a table: columns of numbers, and perhaps one of labels",
        example="csv:./wine.csv?label=class",
        target="phosphene.data.adapters.csv:csv",
        kind="real",
    ),
    Adapter(
        name="npz",
        title="arrays x and, if there are any, y, vector and image of a NumPy file",
        example="npz:./data.npz?levels=256",
        target="phosphene.data.adapters.npz:npz",
    ),
    Adapter(
        name="idx",
        title="IDX files, as MNIST is distributed",
        example="idx:./fashion",
        target="phosphene.data.adapters.idx:idx",
    ),
    Adapter(
        name="text",
        title="a text file or a folder of them, characters or bytes",
        example="text:./book.txt?length=256&level=character",
        target="phosphene.data.adapters.text:text",
        kind="tokens",
    ),
    Adapter(
        name="wav",
        title="a WAV file or a folder of them, class subfolders as labels",
        example="wav:./songs?length=8000&rate=8000",
        target="phosphene.data.adapters.wav:wav",
        kind="audio",
    ),
    Adapter(
        name="hf",
        title="a Hugging Face data set, by name or saved to a folder",
        example="hf:cifar10?size=32",
        target="phosphene.data.adapters.hub:hub",
        outward="phosphene.data.adapters.remote:hub",
        requires="datasets",
    ),
    Adapter(
        name="webdataset",
        title="tar shards of images and classes",
        example="webdataset:./shards-{000..003}.tar?limit=10000",
        target="phosphene.data.adapters.webdataset:webdataset",
        outward="phosphene.data.adapters.remote:webdataset",
        requires="webdataset",
    ),
    Adapter(
        name="x4",
        title="any images, each beside its means of 4 x 4 pixels",
        example="x4:folder:./photos?size=64",
        target="phosphene.data.low_resolution:x4",
        nested=True,
        kind="image",
    ),
    Adapter(
        name="edges",
        title="any images, each beside its edges",
        example="edges:folder:./photos?size=64",
        target="phosphene.data.image_conditions:edges_of",
        nested=True,
        kind="image",
    ),
    Adapter(
        name="fine-edges",
        title="any images, each beside edges of less contrast, as of photographs",
        example="fine-edges:folder:./photos?size=64",
        target="phosphene.data.image_conditions:fine_edges_of",
        nested=True,
        kind="image",
    ),
    Adapter(
        name="mask",
        title="any images, each beside its foreground",
        example="mask:folder:./photos?size=64",
        target="phosphene.data.image_conditions:mask_of",
        nested=True,
        kind="image",
    ),
    Adapter(
        name="sketch",
        title="any images, each beside a rough sketch of it",
        example="sketch:folder:./photos?size=64",
        target="phosphene.data.image_conditions:sketch_of",
        nested=True,
        kind="image",
    ),
)


def adapters() -> list[Adapter]:
    """The ways of reading the user's own data.

    Example:
        >>> [row.name for row in adapters()][:7]
        ['folder', 'csv', 'npz', 'idx', 'text', 'wav', 'hf']
    """
    return list(_ADAPTERS)


def names() -> list[Row]:
    """The data sets that :func:`phosphene.data.load` knows by name.

    Example:
        >>> [row.name for row in names()][:2]
        ['mnist', 'mnist-binary']
    """
    return list(_ROWS)
