"""The report's charts: horizontal bars between their names and their numbers, as SVG that takes its colours from the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import escape

from tamis.report.formats import number, share, words

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, ROW, BAR, GAP, MOST_BARS = 740, 22, 14, 8, 15
LETTER = 7.5  # generous: the page's font, and so the width of a text, is known to the browser only
MOST_LETTERS = 40

Parts = list[tuple[float, str]]  # of a bar: the share of the width, and the colour


def balance(counts: dict[str, Any]) -> str:
    """Draw, for each kind of record, which part of it was kept and which rejected."""
    bars: list[tuple[str, Parts, str]] = []
    for kind, of in {"all records": counts, **counts.get("by_kind", {})}.items():
        parts = [(of[verdict] / max(1, of["read"]), f"var(--{verdict})") for verdict in ("kept", "rejected")]
        bars.append((kind, parts, f"{number(of['kept'])} of {number(of['read'])} kept ({share(of['kept'], of['read'])})"))
    return _svg(bars, "Kept and rejected records")


def reasons(by_reason: Sequence[dict[str, Any]]) -> str:
    """Draw the number of rejected records for each reason, the most frequent first."""
    ordered = sorted(by_reason, key=lambda row: (-row["records"], row["check"], row["reason"]))
    bars = [(f"{words(row['check'])}: {words(row['reason'])}", row["records"]) for row in ordered[:MOST_BARS]]
    if len(ordered) > MOST_BARS:
        others = sum(row["records"] for row in ordered[MOST_BARS:])
        bars.append((f"{len(ordered) - MOST_BARS} other reasons", others))
    return _counts(bars, "var(--rejected)", "Rejected records by reason")


def issues(found: Sequence[tuple[str, int]]) -> str:
    """Draw the number of pictures for each issue of quality, the most frequent first."""
    bars = sorted(((words(issue), pictures) for issue, pictures in found), key=lambda bar: (-bar[1], bar[0]))
    return _counts(bars, "var(--link)", "Pictures by issue of quality")


def _counts(bars: Sequence[tuple[str, int]], colour: str, description: str) -> str:
    most = max(1, *(records for _, records in bars))
    return _svg([(name, [(records / most, colour)], number(records)) for name, records in bars], description)


def _svg(bars: Sequence[tuple[str, Parts, str]], description: str) -> str:
    """Draw bars, each with its name before it and its value behind it; a name that is too long is cut."""
    left = LETTER * min(MOST_LETTERS, max(len(name) for name, _, _ in bars)) + GAP
    width = WIDTH - left - LETTER * max(len(value) for _, _, value in bars) - GAP
    drawn = []
    for place, (name, parts, value) in enumerate(bars):
        middle, at = ROW * place + ROW / 2, left
        cut = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
        drawn.append(f'<text x="0" y="{middle:g}" dy="0.35em">{escape(cut)}</text>')
        for part, colour in parts:
            drawn.append(f'<rect x="{at:.1f}" y="{middle - BAR / 2:g}" width="{part * width:.1f}" height="{BAR}" fill="{colour}"/>')
            at += part * width
        drawn.append(f'<text x="{at + GAP:.1f}" y="{middle:g}" dy="0.35em">{escape(value)}</text>')
    height = ROW * len(bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="currentColor"><desc>{escape(description)}</desc>{"".join(drawn)}</svg>'
    )
