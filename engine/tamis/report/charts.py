"""The report's charts: rows of horizontal bars, which the page draws itself.

A drawing library was tried (Altair, rendered by vl-convert): it cost a second of processor time and 100 MB of memory a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tamis.report.formats import number, share, words

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_BARS = 15


@dataclass(frozen=True, slots=True)
class Bar:
    """What a bar stands for, its parts (a class of the page's style, a share of the chart's width), and its value in words."""

    name: str
    parts: tuple[tuple[str, float], ...]
    label: str


def balance(counts: dict[str, Any]) -> list[Bar]:
    """Return, for each kind of record, which part of it was kept and which rejected."""
    kinds = {"all records": counts, **counts.get("by_kind", {})}
    return [
        Bar(
            kind,
            tuple((verdict, of[verdict] / max(1, of["read"])) for verdict in ("kept", "rejected")),
            f"{number(of['kept'])} of {number(of['read'])} kept ({share(of['kept'], of['read'])})",
        )
        for kind, of in kinds.items()
    ]


def reasons(by_reason: Sequence[dict[str, Any]]) -> list[Bar]:
    """Return the number of rejected records for each reason, the most frequent first."""
    ordered = sorted(by_reason, key=lambda row: (-row["records"], row["check"], row["reason"]))
    counted = [(f"{words(row['check'])}: {words(row['reason'])}", row["records"]) for row in ordered[:MOST_BARS]]
    if len(ordered) > MOST_BARS:
        others = sum(row["records"] for row in ordered[MOST_BARS:])
        counted.append((f"{len(ordered) - MOST_BARS} other reasons", others))
    return _counts(counted, "rejected")


def issues(found: Sequence[tuple[str, int]]) -> list[Bar]:
    """Return the number of pictures for each issue of quality, the most frequent first."""
    return _counts(sorted(((words(issue), pictures) for issue, pictures in found), key=lambda bar: (-bar[1], bar[0])), "noted")


def _counts(counted: Sequence[tuple[str, int]], tone: str) -> list[Bar]:
    most = max((count for _, count in counted), default=0)
    return [Bar(name, ((tone, count / max(1, most)),), number(count)) for name, count in counted]
