"""The shell of a report: one HTML page that needs no other file and follows light or dark."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from PIL import Image

from phosphene.evaluate.pictures import data_uri

__all__ = [
    "audio",
    "chip",
    "facts",
    "figure",
    "page",
    "paragraph",
    "section",
    "strips",
    "table",
    "text",
]


def page(title: str, header: str, sections: Iterable[str], footer: str) -> str:
    """The whole page; its policy forbids the browser to fetch anything."""
    style = (files("phosphene.evaluate") / "assets" / "report.css").read_text()
    body = "\n".join(part for part in sections if part)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; media-src data:; "
        "style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        f"<header>{header}</header>\n{body}\n<footer>{footer}</footer>\n"
        "</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str, lead: str = "") -> str:
    """A titled card; ``lead`` is a sentence under the title, as plain text."""
    under = f'<p class="lead">{escape(lead)}</p>' if lead else ""
    return f"<section><h2>{escape(title)}</h2>{under}{''.join(parts)}</section>"


def paragraph(text: str, style: str = "note") -> str:
    """A paragraph of plain text."""
    return f'<p class="{style}">{escape(text)}</p>'


def facts(items: Iterable[tuple[str, str]]) -> str:
    """Names and values, side by side."""
    rows = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in items if v)
    return f'<dl class="facts">{rows}</dl>'


def chip(kind: str) -> str:
    """The kind of a score, colored by how far it may be trusted."""
    styles = {"exact": "exact", "bound": "bound", "importance-weighted": "weighted"}
    return f'<span class="chip {styles.get(kind, "")}">{escape(kind)}</span>'


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()
) -> str:
    """A table; cells are HTML, headings are text, columns in ``numbers`` are set right."""
    style = ["n" if c in numbers else "" for c in columns]
    head = "".join(f'<th class="{s}">{escape(c)}</th>' for c, s in zip(columns, style, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{s}">{c}</td>' for c, s in zip(row, style, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def figure(content: str | Image.Image, caption: str = "", name: str = "") -> str:
    """An SVG (text) or a picture, under a caption that begins with a name in bold."""
    label = f"<b>{escape(name)}</b> " if name else ""
    caption = f"<figcaption>{label}{escape(caption)}</figcaption>" if caption or name else ""
    return f"<figure>{caption}{_media(content, name or caption)}</figure>"


def text(content: str, name: str = "") -> str:
    """Plain text with its line ends, under a name."""
    return figure(f'<pre class="text">{escape(content)}</pre>', name=name)


def audio(wav: bytes, name: str) -> str:
    """A player of a sound that is kept in the page, beside its name."""
    data = base64.b64encode(wav).decode("ascii")
    label = escape(name, quote=True)
    return (
        f'<figure class="sound"><figcaption>{escape(name)}</figcaption>'
        f'<audio controls preload="metadata" aria-label="{label}" '
        f'src="data:audio/wav;base64,{data}"></audio></figure>'
    )


def strips(rows: Iterable[tuple[str, Image.Image] | None]) -> str:
    """Rows of pictures with a label to the left of each; None leaves a gap."""
    cells = []
    for row in rows:
        if row is None:
            cells.append('<div class="break"></div>')
        else:
            cells.append(f"<span>{escape(row[0])}</span>{_media(row[1], row[0])}")
    return f'<div class="strips">{"".join(cells)}</div>'


def _media(content: str | Image.Image, alt: str) -> str:
    if isinstance(content, str):
        return content
    return f'<img class="pix" alt="{escape(alt, quote=True)}" src="{data_uri(content)}">'
