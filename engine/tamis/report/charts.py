"""The report's charts, drawn as SVG that takes its colours from the page.

The drawing libraries are slow to import, so they are imported only when a chart is drawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tamis.report.formats import number, share, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import altair as alt

WIDTH, BAR, MOST_BARS = 740, 22, 15
LETTER = 7.5  # generous: the page's font, and so the width of a text, is known to the browser only
MOST_LETTERS = 40


def balance(counts: dict[str, Any]) -> str:
    """Draw, for each kind of record, which part of it was kept and which rejected."""
    import altair as alt

    kinds = {"all records": counts, **counts.get("by_kind", {})}
    rows = [
        {"kind": kind, "verdict": verdict, "part": of[verdict] / max(1, of["read"])}
        for kind, of in kinds.items()
        for verdict in ("kept", "rejected")
    ]
    totals = [
        {"kind": kind, "label": f"{number(of['kept'])} of {number(of['read'])} kept ({share(of['kept'], of['read'])})"}
        for kind, of in kinds.items()
    ]
    kind = alt.Y("kind:N", sort=list(kinds), title=None)
    bars = alt.Chart(_data(rows)).mark_bar(height=BAR - 8)
    labels = alt.Chart(_data(totals)).mark_text(align="left", baseline="middle", dx=8)
    chart = alt.layer(
        bars.encode(
            y=kind,
            x=alt.X("part:Q", title=None, axis=None, scale=alt.Scale(domain=[0, 1])),
            order=alt.Order("verdict:N"),
            color=alt.Color(
                "verdict:N",
                scale=alt.Scale(domain=["kept", "rejected"], range=["var(--kept)", "var(--rejected)"]),
                legend=None,
            ),
        ),
        labels.encode(y=kind, x=alt.datum(1), text="label:N"),
    )
    return _svg(chart, list(kinds), [row["label"] for row in totals], "Kept and rejected records")


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
    import altair as alt

    rows = [{"reason": reason, "records": records, "label": number(records)} for reason, records in bars]
    base = alt.Chart(_data(rows)).encode(y=alt.Y("reason:N", sort=None, title=None), x=alt.X("records:Q", title=None, axis=None))
    chart = alt.layer(
        base.mark_bar(height=BAR - 8, color=colour),
        base.mark_text(align="left", baseline="middle", dx=8).encode(text="label:N"),
    )
    return _svg(chart, [name for name, _ in bars], [number(records) for _, records in bars], description)


def _data(rows: list[dict[str, Any]]) -> alt.InlineData:
    import altair as alt

    return alt.InlineData(values=rows)


def _svg(chart: alt.LayerChart | alt.FacetChart, names: Sequence[str], values: Sequence[str], description: str) -> str:
    """Render a chart of horizontal bars between their names and their values."""
    import vl_convert

    left = LETTER * min(MOST_LETTERS, max(map(len, names)))
    right = LETTER * max(map(len, values))
    styled = (
        chart.properties(width=WIDTH - left - right, height=BAR * len(names), description=description)
        .configure(font="system-ui, sans-serif", padding=2, background="transparent")
        .configure_view(stroke=None)
        .configure_axis(
            labelAlign="left",
            labelColor="currentColor",
            labelFontSize=13,
            labelLimit=left,
            labelPadding=left,
            minExtent=left,
            domain=False,
            ticks=False,
        )
        .configure_text(color="currentColor", fontSize=13)
    )
    svg: str = vl_convert.vegalite_to_svg(styled.to_json(validate=False))
    return svg
