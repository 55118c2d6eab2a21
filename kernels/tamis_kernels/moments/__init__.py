"""Exact mean, variance and range of columns, independent of order, chunks, threads and backend.

Floating-point sums depend on the order of the additions; integer sums do not. `accumulate` adds every float exactly, with
integers wide enough for the whole float64 range (a superaccumulator: Kulisch 1971; Collange, Defour, Graillat, Iakymchuk
2015). `accumulate_fixed` rounds to a declared grid first and is faster. Both give a `Moments`, from which mean, variance
and standard deviation are drawn with one rounding.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.arrays import FLOATS, check_array, check_column
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError
from tamis_kernels.moments.state import Moments
from tamis_kernels.validity import check as check_validity
from tamis_kernels.validity import valid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Bools, Floats, Int64s
    from tamis_kernels.validity import Validity

__all__ = ["FixedGrid", "Moments", "accumulate", "accumulate_columns", "accumulate_fixed", "accumulate_groups"]

SUMS, SQUARES = 2176, 4352  # entries for all float64 and their squares, and room for the halves of a carry
PIECE = 1 << 27  # values per kernel call: the int64 entries cannot overflow before 2^28
COPIED = 1 << 15  # values per call where a copy is made, so that it stays in the cache


class FixedGrid:
    """The grid of `accumulate_fixed`: value ≈ offset + q / scale with |q| < 2^31 for all values in [low, high].

    Attributes
    ----------
    offset
        Middle of the range; on the grid wherever float64 can hold it there.
    scale
        Power of two: grid steps per unit. The quantisation error is half a step, `0.5 / scale`.
    """

    __slots__ = ("offset", "scale")

    def __init__(self, low: float, high: float) -> None:
        half = high / 2 - low / 2
        exponent = 30 - math.frexp(half)[1] if half else 0
        self.scale = math.ldexp(1.0, min(max(exponent, -1000), 1000))
        middle = low + half
        steps = middle * self.scale
        # Beyond 2^52 steps a float64 has no digits below the grid, and zero half-width needs no grid.
        self.offset = round(steps) / self.scale if half and abs(steps) < 2**52 else middle


def accumulate(values: Floats, *, keep: Bools | None = None, validity: Validity | None = None, backend: AnyBackend = "auto") -> Moments:
    """Return the exact moments of a column of any finite range.

    Parameters
    ----------
    values
        ndarray of shape (n_values,), float32 or float64, contiguous or strided. NaN, +inf and -inf are counted apart and
        not summed; -0.0 is 0.
    keep
        ndarray of shape (n_values,), bool. Values where it is False do not take part at all. None: all take part.
    validity
        In place of `keep`, a column's Arrow bitmap and the bit of the first value in it, as `tamis_kernels.validity.valid` takes them.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype or shape.
    """
    _check(values, keep, validity)
    kernel = implementation("moments", backend, _at_a_time(values, keep, validity))
    moments = Moments()
    for start in range(0, values.size, PIECE):
        state = _Tables()
        for chunk in _contiguous(values, slice(start, start + PIECE), keep, validity, backend):
            kernel.accumulate(chunk, state.sums, state.squares, state.counts, state.extremes)
        moments += state.moments()
    return moments


def accumulate_columns(matrix: Floats, *, backend: AnyBackend = "auto") -> list[Moments]:
    """Return the exact moments of each column, reading a row-major matrix once.

    Parameters
    ----------
    matrix
        ndarray of shape (n_rows, n_columns), float32 or float64. The rules for NaN and infinities are those of `accumulate`.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        The argument has the wrong dtype or shape.
    """
    check_array("matrix", matrix, FLOATS, ("n_rows", "n_columns"), "use accumulate for one column")
    if matrix.flags.f_contiguous or not matrix.size:
        return [accumulate(matrix[:, j], backend=backend) for j in range(matrix.shape[1])]
    kernel = implementation("moments", backend, matrix.nbytes)
    moments = [Moments()] * matrix.shape[1]
    for start in range(0, len(matrix), PIECE):
        state = _Tables(matrix.shape[1])
        piece = np.ascontiguousarray(matrix[start : start + PIECE])
        kernel.accumulate_columns(piece, state.sums, state.squares, state.counts, state.extremes)
        moments = [before + state.moments(j) for j, before in enumerate(moments)]
    return moments


def accumulate_groups(values: Floats, codes: NDArray[np.integer[Any]], groups: int, *, backend: AnyBackend = "auto") -> list[Moments]:
    """Return the exact moments of each group of a column, such as the readings of each sensor.

    Parameters
    ----------
    values, backend
        As for `accumulate`.
    codes
        ndarray of shape (n_values,), integers: the group of each value, from 0 to groups - 1. A negative code belongs to no group.
    groups
        Number of groups; one without values has empty moments.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype or shape, or a code is too large.
    """
    _check(values, None)
    order, bounds = _by_code(codes, groups, values.shape)
    moved = values[order]
    return [accumulate(moved[first:last], backend=backend) for first, last in pairwise(bounds)]


def _by_code(codes: NDArray[np.integer[Any]], groups: int, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], list[int]]:
    """Return the order that brings equal codes together, and where each group starts and ends in it."""
    if codes.dtype.kind not in "iu" or codes.shape != shape:
        message = f"codes must be integers of shape {shape}, got {codes.dtype} of shape {codes.shape}; pass one per value"
        raise ArgumentError(message)
    if codes.size and codes.max() >= groups:
        message = f"codes must be less than groups = {groups}, got {codes.max()}"
        raise ArgumentError(message)
    order = np.argsort(codes, kind="stable")
    return order, np.searchsorted(codes[order], np.arange(groups + 1)).tolist()


def accumulate_fixed(
    values: Floats, *, low: float, high: float, keep: Bools | None = None, validity: Validity | None = None, backend: AnyBackend = "auto"
) -> Moments:
    """Return the moments of a column of known range, each value rounded to a grid of at least 2^30 steps.

    Values on the grid `FixedGrid(low, high)`, such as the codes of a converter, are summed exactly; others move by at most
    half a step first (to 2^-22 of a step). Two columns that are to be merged without a trace of where they were cut need the
    same `low` and `high`.

    Parameters
    ----------
    values, keep, validity, backend
        As for `accumulate`.
    low, high
        Finite range of the values. Finite values outside are counted in `out_of_range` and not summed.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype or shape, or the range is not finite or upside down.
    """
    _check(values, keep, validity)
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        message = f"low and high must be finite with low <= high, got {low!r} and {high!r}; without a range use accumulate"
        raise ArgumentError(message)
    grid = FixedGrid(low, high)
    kernel = implementation("moments.accumulate_fixed", backend, _at_a_time(values, keep, validity))
    moments = Moments()
    for start in range(0, values.size, PIECE):
        state = _Tables()
        totals = np.zeros(3, np.int64)
        for chunk in _contiguous(values, slice(start, start + PIECE), keep, validity, backend):
            kernel.accumulate_fixed(chunk, low, high, grid.offset, grid.scale, totals, state.counts, state.extremes)
        moments += state.moments(..., *_from_grid(grid, int(state.counts[0]), *totals.tolist()))
    return moments


def _from_grid(grid: FixedGrid, count: int, steps: int, square_low: int, square_high: int) -> tuple[Fraction, Fraction]:
    """Return the exact sum and sum of squares of `count` values offset + q / scale."""
    offset, step = Fraction(grid.offset), 1 / Fraction(grid.scale)
    squares = (square_high << 32) + square_low
    return count * offset + steps * step, count * offset * offset + 2 * offset * steps * step + squares * step * step


class _Tables:
    """What the kernels fill: exact tables, counts and extremes of one piece; with columns, a row of each a column."""

    __slots__ = ("counts", "extremes", "squares", "sums")

    def __init__(self, *columns: int) -> None:
        self.sums = np.zeros((*columns, SUMS), np.int64)
        self.squares = np.zeros((*columns, SQUARES), np.int64)
        self.counts = np.zeros((*columns, 5), np.int64)
        self.extremes = np.tile([math.inf, -math.inf], (*columns, 1)) if columns else np.array([math.inf, -math.inf])

    def moments(self, column: Any = ..., total: Fraction | None = None, squares: Fraction | None = None) -> Moments:
        extremes = self.extremes[column]
        count, nan, positive, negative, outside = self.counts[column].tolist()
        return Moments(
            count=count,
            nan=nan,
            positive_infinity=positive,
            negative_infinity=negative,
            out_of_range=outside,
            minimum=float(extremes[0]) if count else None,
            maximum=float(extremes[1]) if count else None,
            total=_table_value(self.sums[column], 1074) if total is None else total,
            squares=_table_value(self.squares[column], 2148) if squares is None else squares,
        )


def _table_value(table: Int64s, point: int) -> Fraction:
    return Fraction(sum(int(table[i]) << i for i in np.flatnonzero(table).tolist()), 1 << point)


def _as_they_lie(values: Floats, keep: Bools | None, validity: Validity | None) -> bool:
    """Return whether all values take part and lie side by side."""
    return keep is None and validity is None and values.flags.c_contiguous


def _at_a_time(values: Floats, keep: Bools | None, validity: Validity | None) -> int:
    """Return how many bytes a kernel is handed at a time."""
    return values.nbytes if _as_they_lie(values, keep, validity) else min(values.nbytes, COPIED * values.itemsize)


def _contiguous(values: Floats, piece: slice, keep: Bools | None, validity: Validity | None, backend: AnyBackend) -> Iterator[Floats]:
    """Yield the values of a piece that take part as contiguous arrays, with few copies; one may lie where the last one did."""
    if _as_they_lie(values, keep, validity):
        yield values[piece]
        return
    held = np.empty(0 if validity is None else min(COPIED, values.size), values.dtype)
    for start in range(*piece.indices(values.size)[:2], COPIED):
        chunk = values[start : min(start + COPIED, piece.stop)]
        if validity is not None:
            yield valid(chunk, (validity[0], validity[1] + start), out=held, backend=backend)
        else:
            yield np.ascontiguousarray(chunk) if keep is None else chunk[keep[start : start + chunk.size]]


def _check(values: Floats, keep: Bools | None, validity: Validity | None = None) -> None:
    check_column(values)
    if validity is not None:
        check_validity(values, validity)
        if keep is not None:
            message = "pass keep or validity, not both: keep the values of the other by hand"
            raise ArgumentError(message)
    if keep is not None:
        check_array("keep", keep, np.bool_, values.shape)
