"""Formulas as inline SVG, drawn by matplotlib at build time: pages need no script, no network."""

import re
from functools import cache
from html import escape

from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path

_SIZE = 10.0
_LETTERS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
_SPELLED = (
    (r"\s+", " "),
    (r"\\text\{([^}]*)\}", lambda found: r"\mathrm{" + found[1].replace(" ", r"\ ") + "}"),
    (r"\\tfrac(\w)(\w)", r"\\tfrac{\1}{\2}"),
    (r"\\frac(\w)", r"\\frac{\1}"),
    (r"\\frac(\{\w\})(\w)", r"\\frac\1{\2}"),
    (r"\\(mathbb|mathcal) (\w)", r"\\\1{\2}"),
    (r"\\([gl])e\b", r"\\\1eq"),
    (r"\\(left|right) ?(\\[lr]?vert\b|\|) ?", "|"),
    (r"\\[lr]?vert\b ?", "|"),
    (r"\\top\b", r"\\mathsf{T}"),
    (r"\\parallel\b|\\\|", r"\\Vert "),
    (r"(\\frac\{\w+\}\{\w+\}) ?\\sum", r"\1\\,\\sum"),
)
"""LaTeX that matplotlib spells otherwise."""


_OPERATOR = r"\\(?:log|ln|exp|det|max|min|sum|prod|int|arg|tanh|operatorname)\b"
_SCRIPT = r"(?:\s*[_^](?:\{(?:[^{}]|\{[^{}]*\})*\}|\\?\w+))*"


def _spaced(text: str) -> str:
    """Thin spaces where TeX sets them, before operators and after sums, and bars of their height.

    A bar that stands alone between brackets means "given"; bars in pairs are an absolute value.
    """
    text = re.sub(rf"(?<=[\w)}}\]|])\s*(?={_OPERATOR})", r"\\,", text)
    text = re.sub(rf"(\\(?:sum|prod|int)\b{_SCRIPT})\s*", r"\1\\, ", text)
    text = re.sub(r"([(\[][^()\[\]|]*)(?<!\\)\|([^()\[\]|]*)(?=[)\]])", r"\1\\mid \2", text)
    return re.sub(r"(?<!\\)\|", r"\\!\\mid\\!", text)


@cache
def svg(formula: str, block: bool = False) -> str:
    """A formula in LaTeX as an SVG in units of the text around it.

    Raises:
        ValueError: The formula uses what matplotlib does not know.
    """
    text = formula.strip()
    for pattern, spelled in _SPELLED:
        text = re.sub(pattern, spelled, text)
    text = _spaced(text)
    if block:
        text = text.replace("\\frac", "\\dfrac")
    text = text.replace("\\tfrac", "\\frac")
    font = FontProperties(size=_SIZE, math_fontfamily="stix")
    path = TextPath((0, 0), f"${text}$", prop=font)
    width, height, depth = text_to_path.get_text_width_height_descent(f"${text}$", font, True)
    drawn = []
    for points, code in path.iter_segments(curves=True, simplify=False):
        if code == Path.CLOSEPOLY:
            drawn.append("Z")
        else:
            # SVG's y axis points down.
            pairs = zip(points[::2], points[1::2], strict=True)
            drawn.append(_LETTERS[code] + " ".join(f"{x:.2f},{-y:.2f}" for x, y in pairs))
    # A little room above and below, for strokes that reach over the line.
    top, bottom = height - depth + 0.6, depth + 0.6
    return (
        f'<svg class="formula" role="img" aria-label="{escape(formula)}" '
        f'viewBox="0 {-top:.2f} {width:.2f} {top + bottom:.2f}" '
        f'style="width:{width / _SIZE:.3f}em;height:{(top + bottom) / _SIZE:.3f}em;'
        f'vertical-align:{-bottom / _SIZE:.3f}em"><path d="{"".join(drawn)}"/></svg>'
    )


def shown(formula: str, block: bool = False) -> str:
    """The formula drawn; its LaTeX where that cannot be (docstrings are written for any reader)."""
    try:
        return svg(formula, block)
    except ValueError:
        return f"<code>{escape(formula)}</code>"


def visit_inline(self, node) -> None:
    """An inline formula."""
    self.body.append(shown(node.astext()))
    raise nodes.SkipNode


def visit_block(self, node) -> None:
    """A displayed formula; each of its lines by itself."""
    for line in node.astext().split(r"\\\\"):
        self.body.append(f'<div class="display">{shown(line.replace("&", ""), True)}</div>')
    raise nodes.SkipNode


def setup(app) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("drawn", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
