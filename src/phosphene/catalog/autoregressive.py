"""The rows of the autoregressive family."""

from phosphene.catalog.system import System

__all__ = ["SYSTEMS"]

_ROOM = "phosphene.generative.autoregressive"
_PROOFS = "phosphene.recipes.proofs"
_CODES = ("binary", "binary-image", "image")
_IMAGES = ("binary-image", "image")


def _model(
    name: str,
    title: str,
    module: str,
    events: tuple[str, ...],
    rows: tuple[int, ...],
    paper: str,
) -> System:
    """A model of the room: all of them may be given a label."""
    return System(
        name=name,
        family="autoregressive",
        title=title,
        kind="model",
        events=events,
        context="optional",
        rows=rows,
        paper=paper,
        target=f"{_ROOM}.{module}",
    )


SYSTEMS: tuple[System, ...] = (
    _model(
        "fvsbn",
        "Fully visible sigmoid belief network",
        "fvsbn:FVSBN",
        ("binary", "binary-image"),
        (23,),
        "Neal, 1992; Frey, 1996",
    ),
    _model(
        "tabular",
        "Tabular autoregressive model",
        "tabular:Tabular",
        ("binary", "binary-image", "tokens", "audio"),
        (22,),
        "Krichevsky and Trofimov, 1981",
    ),
    _model(
        "made",
        "Masked autoencoder for distribution estimation",
        "made:MADE",
        (*_CODES, "real", "tokens", "audio"),
        (28,),
        "Germain et al., 2015",
    ),
    _model(
        "pixelcnn",
        "PixelCNN",
        "pixelcnn:PixelCNN",
        _IMAGES,
        (30,),
        "van den Oord, Kalchbrenner and Kavukcuoglu, 2016",
    ),
    _model(
        "gated-pixelcnn",
        "Gated PixelCNN (two stacks)",
        "gated_pixelcnn:GatedPixelCNN",
        _IMAGES,
        (31,),
        "van den Oord et al., 2016",
    ),
    _model(
        "pixelcnn-plus-plus",
        "PixelCNN++ (mixture of logistics)",
        "pixelcnn_pp:PixelCNNPlusPlus",
        _IMAGES,
        (30,),
        "Salimans et al., 2017",
    ),
    _model(
        "pixelrnn",
        "PixelRNN (Row LSTM, Diagonal BiLSTM)",
        "pixelrnn:PixelRNN",
        _IMAGES,
        (29,),
        "van den Oord, Kalchbrenner and Kavukcuoglu, 2016",
    ),
    _model(
        "multiscale-pixelrnn",
        "Multi-scale PixelRNN",
        "multiscale_pixelrnn:MultiscalePixelRNN",
        _IMAGES,
        (29,),
        "van den Oord, Kalchbrenner and Kavukcuoglu, 2016",
    ),
    _model(
        "transformer",
        "Autoregressive transformer",
        "transformer:Transformer",
        ("tokens", "binary", "binary-image", "image", "audio", "real"),
        (36, 37, 38, 39, 40),
        "Vaswani et al., 2017; Radford et al., 2019; Chen et al., 2020; Su et al., 2021",
    ),
    _model(
        "wavenet",
        "WaveNet",
        "wavenet:WaveNet",
        ("audio", "real", "tokens", "binary"),
        (32,),
        "van den Oord et al., 2016",
    ),
    _model(
        "tcn",
        "Temporal convolutional network",
        "tcn:TCN",
        ("tokens", "audio", "real", "binary"),
        (33,),
        "Bai, Kolter and Koltun, 2018",
    ),
    _model(
        "nade",
        "Neural autoregressive distribution estimator (NADE)",
        "nade:NADE",
        ("binary", "binary-image", "image", "tokens", "audio"),
        (24,),
        "Larochelle and Murray, 2011",
    ),
    _model(
        "rnade",
        "Real-valued NADE (RNADE)",
        "rnade:RNADE",
        ("real",),
        (26,),
        "Uria, Murray and Larochelle, 2013",
    ),
    _model(
        "order-agnostic-nade",
        "Order-agnostic deep NADE (EoNADE)",
        "order_agnostic_nade:OrderAgnosticNADE",
        ("binary", "binary-image", "image", "tokens", "audio", "real"),
        (27,),
        "Uria, Murray and Larochelle, 2014",
    ),
    _model(
        "conv-nade",
        "Convolutional NADE",
        "conv_nade:ConvNADE",
        _IMAGES,
        (25,),
        "Uria, Cote, Gregor, Murray and Larochelle, 2016",
    ),
    System(
        name="blind-spot",
        family="autoregressive",
        title="Proof: the blind spot of masked convolutions",
        kind="proof",
        rows=(31,),
        paper="van den Oord et al., 2016",
        target=f"{_PROOFS}.blind_spot:prove",
    ),
    System(
        name="receptive-field",
        family="autoregressive",
        title="Proof: receptive fields of dilated convolutions",
        kind="proof",
        rows=(32,),
        paper="van den Oord et al., 2016; Bai, Kolter and Koltun, 2018",
        target=f"{_PROOFS}.receptive_field:prove",
    ),
    System(
        name="copy-memory",
        family="autoregressive",
        title="Proof: symbols are repeated after a long pause",
        kind="proof",
        rows=(33,),
        paper="Hochreiter and Schmidhuber, 1997; Bai, Kolter and Koltun, 2018",
        target=f"{_PROOFS}.copy_memory:prove",
    ),
    System(
        name="teacher-forcing",
        family="autoregressive",
        title="Proof: teacher forcing and free running",
        kind="proof",
        rows=(4,),
        paper="Williams and Zipser, 1989",
        target=f"{_PROOFS}.teacher_forcing:prove",
    ),
    System(
        name="second-order",
        family="autoregressive",
        title="Proof: one optimum, by second order",
        kind="proof",
        rows=(5,),
        paper="Liu and Nocedal, 1989",
        target=f"{_PROOFS}.second_order:prove",
    ),
    System(
        name="generative-classifier",
        family="autoregressive",
        title="Proof: a generative classifier",
        kind="proof",
        rows=(6,),
        paper="Ng and Jordan, 2002",
        target=f"{_PROOFS}.generative_classifier:prove",
    ),
)
