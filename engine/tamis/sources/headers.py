"""Whether the first line of a delimited file names its columns, or is a row like those below it.

Names are the rule, so what speaks for a row must be something that names are not: a date above dates, a word that the rows below it have
again, values in the midst of those below. Years, dates, wavelengths and counts from 0 or 1 above other figures are names,
and so is what stands beside a blank above the names of rows.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from tamis.sources.profile import MISSING_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIGURES = re.compile(r"[+-]?[\d.][\d.,:/TZeE+ -]*")
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
STAMP = re.compile(rf"{DATE.pattern}(?:[T ]\d.*)?")
SAYS = "set formats.header = true if it names the columns"
LEAST = 3  # figures that tell anything by their order
STEPS = 4  # values that rise by one step are names, if so many: years, wavelengths; counts from 0 or 1 sooner
ANEW = 2  # rows that must have a word of the first line again, where no column of figures speaks for a row as well


def reads_as_row(first: Sequence[str], below: Sequence[Sequence[str]]) -> str:
    """Return what shows that the first line is a row, in words behind "its first line"; nothing where it names the columns.

    Parameters
    ----------
    first
        Its cells.
    below
        Cells of each column below it that are not blank; nothing where there is no other line.
    """
    filled = [cell for cell in first if cell]
    if below and not first[0] and all(first[1:]) and len(below[0]) == max(map(len, below)) > 0 < len(first[1:]):
        return ""  # as pandas and R write tables whose rows have names
    if filled and all(map(_is_figure, filled)):
        return "" if _numbers_columns(first, below) else "holds figures only"
    columns = [(name, cells) for name, cells in zip(first, below, strict=False) if name.lower() not in MISSING_WORDS]
    figures = [(name, cells) for name, cells in columns if cells and all(map(_is_figure_or_missing, cells)) and any(map(_is_figure, cells))]
    words = [(name, cells) for name, cells in columns if name and not _is_figure(name)]
    if not all(_is_figure(name) for name, _ in figures if name):
        return ""
    above = [(name, cells) for name, cells in figures if name]
    if any(STAMP.fullmatch(name) and all(map(STAMP.fullmatch, cells)) for name, cells in above):
        return "has a date where the others have dates"
    again = max((cells.count(name) for name, cells in words), default=0)
    if again >= (1 if above else ANEW):
        return "has words that other lines have in the same column"
    names = [name for name, _ in above]
    if above and all(map(_is_within, above)) and not _is_scale(names):
        return "has values that lie among those of the others"
    return "has values where names would be" if _are_values(names) else ""


def _is_figure(cell: str) -> bool:
    return FIGURES.fullmatch(cell) is not None


def _is_figure_or_missing(cell: str) -> bool:
    return _is_figure(cell) or cell.lower() in MISSING_WORDS


def _numbers_columns(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether figures are names: counts from 0 or 1, as of a frame of pandas whose columns have none, or dates, years and the like."""
    names = first[1:] if first and not first[0] else first
    if not below or not all(names):
        return False
    if all(map(STAMP.fullmatch, names)):
        return not any(STAMP.fullmatch(cell) for cells in below[-len(names) :] for cell in cells)
    counts = [str(number) for number in range(len(names) + 1)]
    if any(map(_rises, zip(*below[-len(names) :], strict=False))):
        return False
    if len(names) > 1 and list(names) in (counts[:-1], counts[1:]):
        return len(names) > 2 or len(names) < len(first) or any("." in cell for cells in below for cell in cells)
    return _rises(names)


def _are_values(names: Sequence[str]) -> bool:
    """Whether figures above figures are no names: those are whole and differ, as numbers of stations, or rise, as years and quantiles."""
    values = [value for value in map(_value, names) if value is not None]
    odd = len(set(values)) < len(values) or any("." in name or name.startswith("-") for name in names)
    return len(values) >= LEAST and odd and not _is_scale(names)


def _is_scale(names: Sequence[str]) -> bool:
    """Whether figures rise or fall, and are so many that this is no chance."""
    values = [value for value in map(_value, names) if value is not None]
    return len(values) >= LEAST and values in (sorted(set(values)), sorted(set(values), reverse=True))


def _is_within(column: tuple[str, Sequence[str]]) -> bool:
    """Whether a first cell has a fraction or a sign, as names rarely do, and lies among the values below."""
    name, cells = column
    values = [value for value in map(_value, cells) if value is not None]
    value = _value(name)
    return value is not None and ("." in name or name.startswith("-")) and bool(values) and min(values) <= value <= max(values)


def _rises(names: Iterable[str]) -> bool:
    """Whether cells are numbers that rise by one step, at least so many as tell."""
    values = [value for value in map(_value, names) if value is not None]
    steps = [after - before for before, after in pairwise(values)]
    return len(values) >= STEPS and steps[0] > 0 and all(abs(step - steps[0]) <= 0.01 * steps[0] for step in steps)


def _value(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
