"""Docstrings are written to be read in the source; this makes them reStructuredText.

Formulas stand in them as indented lines, and shapes as ``(n, *event.shape)``. Before napoleon reads
a docstring, indented blocks become literal blocks and the characters that reStructuredText would
read as markup are escaped.
"""

import inspect
import re

from sphinx.util.inspect import stringify_signature

from phosphene.core.config import Configured

_SECTIONS = re.compile(r"^(Args|Raises|Returns|Yields|Example|Examples|Note|Attributes):\s*$")
_ITEM = re.compile(r"^\s*([-*]|\d+\.)\s+")
_LITERAL = re.compile(r"(``.+?``|:[a-z:]+:`.+?`|\*\*[^*\s](?:[^*]*[^*\s])?\*\*|\*[^*\s,)]+\*)")


def escape(line: str) -> str:
    """A line of text with ``|``, lone ``*`` and trailing ``_`` taken literally."""
    item = _ITEM.match(line)
    mark = item[0] if item else ""
    parts = _LITERAL.split(line[len(mark) :])
    for k in range(0, len(parts), 2):
        text = re.sub(r"([|*])", r"\\\1", parts[k])
        parts[k] = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", text)
    return mark + "".join(parts)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def rewrite(lines: list[str]) -> list[str]:
    """The docstring's lines with literal blocks and escapes."""
    out: list[str] = []
    section, listed, k = False, False, 0
    while k < len(lines):
        line = lines[k]
        section = section or bool(_SECTIONS.match(line))
        blank_before = not out or not out[-1].strip()
        starts = line.strip() and _indent(line) >= 4 and not section and blank_before and not listed
        if starts and not any(before.strip().startswith(".. ") for before in out[-2:]):
            end = k
            while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) >= 2):
                end += 1
            block = lines[k:end]
            while block and not block[-1].strip():
                block.pop()
            out += [".. code-block:: text", "", *block, ""]
            k += len(block)
            continue
        doctest = line.lstrip().startswith((">>>", "..."))
        directive = line.lstrip().startswith(".. ")
        if directive:  # a directive and its indented body are already markup
            out.append(line)
            k += 1
            while k < len(lines) and (not lines[k].strip() or _indent(lines[k]) > _indent(line)):
                out.append(lines[k])
                k += 1
            continue
        if line.strip():
            listed = bool(_ITEM.match(line)) or (listed and _indent(line) > 0)
        out.append(line if doctest or _in_example(lines, k) else escape(line))
        k += 1
    return out


def _in_example(lines: list[str], k: int) -> bool:
    """Whether a line lies in the section of examples, whose output is literal."""
    for line in reversed(lines[: k + 1]):
        found = _SECTIONS.match(line)
        if found:
            return found[1].startswith("Example")
    return False


def docstring(app, what, name, obj, options, lines):
    """The hook for docstrings."""
    lines[:] = rewrite(lines)


def signature(app, what, name, obj, options, text, returned):
    """The hook for signatures: a configured class is called as its ``__init__`` says."""
    if not (inspect.isclass(obj) and issubclass(obj, Configured)):
        return None
    own = inspect.signature(obj.__init__)
    parameters = list(own.parameters.values())[1:]
    shown = own.replace(parameters=parameters, return_annotation=inspect.Signature.empty)
    return stringify_signature(shown, show_annotation=False), None
