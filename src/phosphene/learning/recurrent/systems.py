"""The rows of recurrent networks."""

from phosphene.catalog.system import System

__all__ = ["PLACE", "SYSTEMS"]

PLACE = 140
"""Where the folder stands among the others."""

_ROOM = "phosphene.learning.recurrent"


def _row(
    name: str, title: str, kind: str, rows: tuple[int, ...], paper: str, target: str
) -> System:
    room = "phosphene.proofs.learning" if kind == "proof" else _ROOM
    return System(
        name=name,
        family="learning",
        title=f"Proof: {title}" if kind == "proof" else title,
        kind=kind,
        rows=rows,
        paper=paper,
        target=f"{room}.{target}",
    )


SYSTEMS: tuple[System, ...] = (
    _row("rnn-layer", "Recurrent network, its backward pass written out", "tool", (162, 163),
         "Elman, 1990", "rnn:RNN"),
    _row("lstm-layer", "LSTM, its backward pass written out", "tool", (163, 167),
         "Hochreiter and Schmidhuber, 1997", "lstm:LSTM"),
    _row("gru-layer", "GRU, its backward pass written out", "tool", (163, 167),
         "Cho et al., 2014", "gru:GRU"),
    _row("backprop-through-time", "Backpropagation through time", "tool", (163, 169),
         "Werbos, 1990", "bptt:backprop_through_time"),
    _row("truncated-bptt-forms", "Truncated backpropagation through time, in both forms", "tool",
         (165,), "Williams and Peng, 1990", "truncated:windowed"),
    _row("clip-gradient-norm", "Clipping of gradients by their norm", "tool", (166,),
         "Pascanu, Mikolov and Bengio, 2013", "clipping:clip_gradient_norm"),
    _row("recurrent-spectrum", "Spectrum of a recurrent network, and what bounds its gradients",
         "tool", (164, 170), "Pascanu, Mikolov and Bengio, 2013", "spectrum:growth_bound"),
    _row("adding-sequences", "Sequences of the adding problem, and what learns to add", "tool",
         (167,), "Hochreiter and Schmidhuber, 1997", "adding:adding_problem"),
    _row("rnn-spectrum", "What one matrix does, again and again, to states and gradients", "lesson",
         (164, 170), "Pascanu, Mikolov and Bengio, 2013", "lessons.rnn_spectrum:demonstrate"),
    _row("truncated-backprop", "What is lost where gradients go back only so far", "lesson",
         (165,), "Williams and Peng, 1990", "lessons.truncated_backprop:demonstrate"),
    _row("gradient-clipping", "A cliff in the loss of a recurrent network", "lesson",
         (166,), "Pascanu, Mikolov and Bengio, 2013", "lessons.gradient_clipping:demonstrate"),
    _row("lstm", "How far gradients reach in an RNN, a GRU and an LSTM", "lesson", (167,),
         "Hochreiter and Schmidhuber, 1997", "lessons.lstm:demonstrate"),
    _row("adding-problem-lstm", "An LSTM adds two numbers 100 steps apart; an RNN does not",
         "lesson", (167,), "Hochreiter and Schmidhuber, 1997",
         "lessons.adding_problem_lstm:demonstrate"),
    _row("recurrence", "one step of an RNN and of a GRU, as torch has it", "proof", (162,),
         "Elman, 1990", "recurrence:prove"),
    _row("bptt", "the gradient is a sum over all losses and all paths", "proof", (163, 169),
         "Werbos, 1990", "bptt:prove"),
    _row("dominant-eigenvector", "h_t = W^t h turns into an eigenvector, and Q L Q^-1", "proof",
         (164,), "von Mises and Pollaczek-Geiringer, 1929", "dominant_eigenvector:prove"),
    _row("bptt-divergence", "singular values bound gradients: necessary, not sufficient", "proof",
         (164, 170), "Pascanu, Mikolov and Bengio, 2013", "bptt_divergence:prove"),
    _row("truncated-bptt", "a window for each loss is not a chunk that is detached", "proof",
         (165,), "Williams and Peng, 1990", "truncated_bptt:prove"),
    _row("clipping-condition", "clipping must not lengthen short gradients", "proof", (166,),
         "Pascanu, Mikolov and Bengio, 2013", "clipping_condition:prove"),
    _row("lstm-cell", "the LSTM's gates, in their order, and its open cell", "proof", (167,),
         "Hochreiter and Schmidhuber, 1997", "lstm_cell:prove"),
)  # fmt: skip
