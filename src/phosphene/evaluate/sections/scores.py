"""Scores: the few that matter most, and all of them with their kinds."""

from collections.abc import Mapping
from html import escape

from phosphene.evaluate import page
from phosphene.evaluate.formatting import number
from phosphene.evaluate.metric import about, carded, label, meaning, unit
from phosphene.evaluate.score import Score
from phosphene.evaluate.section import Shown, section

__all__ = ["all_scores", "cards", "headline", "score_table"]


@section(place=0)
def cards(shown: Shown) -> str:
    """The few scores that matter most."""
    return headline(shown.scores)


@section(place=500)
def all_scores(shown: Shown) -> str:
    """Every score."""
    return score_table(shown.scores)


def headline(scores: Mapping[str, Score]) -> str:
    """The few scores that matter most, as cards."""
    cards = "".join(_card(name, scores[name]) for name in carded(scores)[:4])
    return f'<div class="cards">{cards}</div>' if cards else ""


def score_table(
    scores: Mapping[str, Score],
    lead: str = "On held-out test examples. Log-likelihoods are in nats per example.",
) -> str:
    """Every score with its kind, error and floor, and what the kinds mean."""
    if not scores:
        return ""
    rows, floors = [], any(s.floor is not None for s in scores.values())
    for name, s in scores.items():
        says = " ".join(t for t in (about(name), _note(s)) if t)
        heading = f"{escape(label(name))}<span class='sub'>{escape(says)}</span>"
        exact = f"{s.value:,.0f}" if s.kind == "count" and s.value % 1 == 0 else number(s.value)
        error = "" if s.stderr is None else f"± {s.stderr:.2g}"
        floor = () if not floors else ("" if s.floor is None else number(s.floor),)
        rows.append((heading, f"{exact} {unit(name)}", error, *floor, page.chip(s.kind)))
    real = ("Real against real",) if floors else ()
    columns = ("Score", "Value", "Standard error", *real, "Kind")
    found = {m[0]: m[1] for s in scores.values() if (m := meaning(s.kind))}
    kinds = "".join(f"<p class='note'>{page.chip(k)} {escape(t)}</p>" for k, t in found.items())
    return page.section(
        "All scores",
        page.table(columns, rows, columns[1:-1]),
        f"<h3 style='margin-top:26px'>What the kinds mean</h3>{kinds}",
        lead=lead,
    )


def _note(score: Score) -> str:
    return f"({score.note})" if score.note else ""


def _card(name: str, s: Score) -> str:
    more = []
    if s.stderr is not None:
        more.append(f"± {s.stderr:.2g}")
    if s.floor is not None:
        more.append(f"real data: {number(s.floor)}")
    return (
        f'<div class="card"><div class="name">{escape(label(name))}</div>'
        f'<div class="value">{number(s.value)} <small>{escape(unit(name))}</small></div>'
        f'{page.chip(s.kind)}<div class="more">{escape(", ".join(more))}</div></div>'
    )
