"""The commands: how each is used, and what it does."""

__all__ = ["COMMANDS"]

COMMANDS: dict[str, tuple[str, str]] = {
    "systems": ("[--family F]", "list what can be trained, solved or proved"),
    "data": ("[NAME] [--out FILE]", "list the data sets, or look at one"),
    "environments": ("[NAME] [--json]", "list the environments for agents"),
    "train": ("SYSTEM [--data D]", "train a system; the run is one folder"),
    "sample": ("RUN [-n 64] [--out FILE]", "draw samples, interpolations and traversals"),
    "evaluate": ("RUN [--json]", "score a run on held-out data"),
    "play": ("RUN [--out FILE]", "show an agent: gif, mp4 or a row of frames"),
    "solve": ("SOLVER [--env E]", "solve a known decision process exactly"),
    "compare": ("SYSTEM... [--data D]", "train several under one budget, in one table"),
    "report": ("RUN", "write a self-contained report.html"),
    "export": ("RUN [--format F]", "write a decoder or policy for elsewhere"),
    "demo": ("", "train, score and report, in two minutes"),
    "learn": ("[TOPIC] [--out FOLDER]", "show the learning machinery at work"),
    "prove": ("[NAME] [--break]", "check a statement of theory by running it"),
    "doctor": ("[--json]", "say what is installed and how it is used"),
}
