"""Where a delimited file's header, its units and its rows are, as spreadsheets and data loggers write them.

Most files begin with the names of their columns. Loggers put lines about the station before them (Campbell's TOA5, HOBO, Solinst, YSI),
others comments (`#` in USGS RDB files), and below the names a line of units or of types (TOA5, ERDDAP, RDB). Such lines are no rows: they
are told in a note.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tamis.sources.headers import DATE, FIGURES, SAYS, reads_as_row
from tamis.sources.profile import MISSING_WORDS
from tamis.sources.scanner import BLANK, UNCLOSED, scan
from tamis.sources.text import decode
from tamis.sources.units import is_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

DELIMITERS = ",;\t|"
SAMPLE_BYTES = 256 << 10
SAMPLE_RECORDS = 200
LEAST_SHARE = 0.9  # of the records below a header that has lines before it: they must be as wide as it is
SHOWN = 80  # characters of the lines that are no rows, in the note

TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?")
SEPARATOR_LINE = re.compile(rb"sep=([,;\t|])\r?\n")
TYPE_CODE = re.compile(r"\d+[sdn]", re.IGNORECASE)  # of USGS RDB: width and kind of a column
MADE_BY = frozenset({"smp", "avg", "tot", "max", "min", "std", "tmx", "tmn", "med", "cov", "wvc", "sample"})  # of Campbell's loggers


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is laid out.

    Attributes
    ----------
    delimiter
        What parts the fields.
    header
        Number of the record that names the columns, blank ones not counted; None where none does.
    first
        Number of the first record that is a row.
    units
        Unit of each column, as the line below the names gives it; empty where there is none.
    stamps
        Places of a column of dates and of the times of day beside it, which together are one timestamp.
    notes
        What is worth knowing.
    """

    delimiter: str
    header: int | None = 0
    first: int = 1
    units: tuple[str, ...] = ()
    stamps: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()


def find_layout(sample: bytes, *, final: bool, preferred: str = ",", named: Literal["auto"] | bool = "auto") -> Layout:
    """Return the layout that a file's first bytes show; with `final` they are the whole file, `named` says whether the first line names."""
    told = SEPARATOR_LINE.match(sample)
    if told:  # a line for Excel
        inner = find_layout(sample[told.end() :], final=final, preferred=told[1].decode(), named=named)
        header = None if inner.header is None else inner.header + 1
        return Layout(inner.delimiter, header, inner.first + 1, inner.units, inner.stamps, inner.notes)
    plain, share = _widest(sample, final=final, preferred=preferred)
    best = _Sample(sample, plain, final=final)
    if best.cells(0)[:1] == ["TOA5"]:
        return best.layout(1, 4, best.cells(2))
    if named is False:
        return Layout(plain, None, 0, stamps=best.stamps(0))
    if share < 0.5 or best.cells(0)[0].startswith("#"):
        framed = [_Sample(sample, delimiter, final=final) for delimiter in dict.fromkeys((preferred, *DELIMITERS))]
        found = [(one, header) for one in framed for header in [one.header_within()] if header is not None]
        if found:
            one, header = max(found, key=lambda pair: pair[0].body)
            return one.layout_at(header)
    reads = "" if named is True else reads_as_row(best.cells(0), best.columns_below())
    if reads:
        return Layout(plain, None, 0, stamps=best.stamps(0), notes=(f"the file has no header: its first line {reads}; {SAYS}",))
    return best.layout_at(0)


def _widest(sample: bytes, *, final: bool, preferred: str) -> tuple[str, float]:
    """Return the delimiter under which most records of a sample are as wide as the first, and their share."""
    best, best_score = preferred, (0.0, 0, False)
    for delimiter in DELIMITERS:
        _, widths = scan(sample, delimiter, final=final)
        widths = widths[widths != BLANK][:SAMPLE_RECORDS]
        if len(widths) and widths[0] > 1:
            score = (float(np.mean(widths == widths[0])), int(widths[0]), delimiter == preferred)
            if score > best_score:
                best, best_score = delimiter, score
    return best, best_score[0]


class _Sample:
    """The first records of a file, parted by a delimiter."""

    def __init__(self, sample: bytes, delimiter: str, *, final: bool) -> None:
        self.delimiter = delimiter
        ends, widths = scan(sample, delimiter, final=final)
        starts = np.concatenate(([0], ends[:-1])) if len(ends) else ends
        filled = np.flatnonzero(widths != BLANK)[:SAMPLE_RECORDS]
        self.widths = widths[filled]
        self._records = [sample[starts[place] : ends[place]] for place in filled]
        sizes, counts = np.unique(self.widths[self.widths > 1], return_counts=True)
        self.body = int(sizes[counts.argmax()]) if len(sizes) else 1
        rows = [self.cells(number) for number in np.flatnonzero(self.widths == self.body).tolist() if self._is_row(number)]
        columns = [[FIGURES.fullmatch(cell) is not None for cell in column if cell] for column in zip(*rows, strict=False)]
        self._figures = [2 * sum(column) >= len(column) > 0 for column in columns]  # whether a column holds figures

    def __len__(self) -> int:
        return len(self._records)

    def cells(self, number: int) -> list[str]:
        """Return the fields of a record, stripped; one empty field where there is no such record."""
        if number >= len(self):
            return [""]
        text = decode(self._records[number]).rstrip("\r\n")
        if self.widths[number] != UNCLOSED:
            try:
                return [cell.strip() for cell in next(csv.reader([text], delimiter=self.delimiter))]
            except csv.Error:
                pass
        return [cell.strip() for cell in text.split(self.delimiter)]

    def columns_below(self) -> list[list[str]]:
        """Return the cells of each column below the first record that are not blank, of records as wide as it and not equal to it."""
        first, width = self.cells(0), self.widths[:1]
        rows = [self.cells(number) for number in range(1, len(self)) if self.widths[number] == width]
        return [[cell for cell in column if cell] for column in zip(*(row for row in rows if row != first), strict=False)]

    def header_within(self) -> int | None:
        """Return the record that names the columns where lines come before it: the last of the rows' width above the first with figures."""
        wide = np.flatnonzero(self.widths == self.body)
        rows = [int(place) for place in wide if self._is_row(int(place))]
        if self.body < 2 or not rows:
            return None
        header = rows[0] - 1
        while header >= 0 and self.widths[header] == self.body and self._annotates(header):
            header -= 1
        if header < 0 or self.widths[header] != self.body or sum(map(bool, self.cells(header))) < 2:
            return None
        return header if np.mean(self.widths[header:] == self.body) >= LEAST_SHARE else None

    def _is_row(self, number: int) -> bool:
        return not self.cells(number)[0].startswith("#") and any(FIGURES.fullmatch(cell) for cell in self.cells(number))

    def layout_at(self, header: int) -> Layout:
        """Return the layout of a file whose header is known: the lines of units and types below it are no rows."""
        first, units = header + 1, [""]
        while first < len(self) and self.widths[first] == self.body and self._annotates(first):
            units = units if any(units) else self.cells(first)
            first += 1
        return self.layout(header, first, units)

    def _annotates(self, number: int) -> bool:
        """Whether a record tells of the columns: of those that hold figures, at least half have a unit or a code, and none a value."""
        above = [cell for cell, holds in zip(self.cells(number), self._figures, strict=False) if holds]
        told = [cell for cell in above if cell.lower() not in MISSING_WORDS]
        known = [is_unit(cell) or bool(TYPE_CODE.fullmatch(cell)) or cell.lower() in MADE_BY for cell in told]
        values = [cell for cell in above if FIGURES.fullmatch(cell) and cell != "1"]  # which stands for no unit
        return 2 * sum(known) >= len(above) > 0 and not values

    def layout(self, header: int, first: int, units: Sequence[str]) -> Layout:
        notes = []
        passed = [number for number in range(first) if number != header]
        if passed:
            said = " / ".join(decode(self._records[number]).strip() for number in passed if number < len(self))
            said = said if len(said) <= SHOWN else said[:SHOWN] + "…"
            notes.append(f"{len(passed)} of the first {first} lines {'is' if len(passed) == 1 else 'are'} neither names nor rows: {said}")
        told = tuple(cell if is_unit(cell) else "" for cell in units)
        return Layout(self.delimiter, header, first, told if any(told) else (), self.stamps(first), tuple(notes))

    def stamps(self, first: int) -> tuple[tuple[int, int], ...]:
        """Return the neighbours of which one holds dates alone and the other times of day alone."""
        rows = [self.cells(number) for number in range(first, len(self)) if self.widths[number] == self.body]
        columns = [[cell for cell in column if cell] for column in zip(*rows, strict=False)]
        dates = [bool(column) and all(map(DATE.fullmatch, column)) for column in columns]
        times = [bool(column) and all(map(TIME.fullmatch, column)) for column in columns]
        pairs: list[tuple[int, int]] = []
        for place in range(len(columns) - 1):
            for date, time in ((place, place + 1), (place + 1, place)):
                if dates[date] and times[time] and not any({date, time} & set(pair) for pair in pairs):
                    pairs.append((date, time))
        return tuple(pairs)
