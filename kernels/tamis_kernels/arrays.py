"""What public functions ask of the arrays and numbers that they are given, and the forms in which kernels take them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import EllipsisType

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from tamis_kernels.types import Floats, Int32s, Int64s, Uint8s

    Shape = tuple[int | str | EllipsisType, ...]

FLOATS = (np.float32, np.float64)


def check_array(name: str, array: NDArray[Any], dtype: DTypeLike | tuple[DTypeLike, ...], shape: Shape, hint: str = "") -> None:
    """Raise ArgumentError unless an array has the dtype, or one of several, and the shape.

    Parameters
    ----------
    name, array
        What the message calls it, and the array.
    dtype
        One dtype, or a tuple of those that will do.
    shape
        The length of each dimension, or its name where any length will do; `...` in front stands for any number of dimensions.
    hint
        What the message tells the caller to do.
    """
    allowed = [np.dtype(one) for one in (dtype if isinstance(dtype, tuple) else (dtype,))]
    known = isinstance(array, np.ndarray)
    if known and array.dtype in allowed and _fits(array.shape, shape):
        return
    lengths = ["…" if one is ... else str(one) for one in shape]
    wanted = f"{' or '.join(one.name for one in allowed)} of shape ({', '.join(lengths)}{',' * (len(lengths) == 1)})"
    found = f"{array.dtype} of shape {array.shape}" if known else f"{type(array).__name__}, which is no array of NumPy"
    message = f"{name} must be {wanted}, got {found}{hint and '; '}{hint}"
    raise ArgumentError(message)


def _fits(found: tuple[int, ...], wanted: Shape) -> bool:
    if wanted[:1] == (...,):
        wanted = wanted[1:]
        found = found[max(0, len(found) - len(wanted)) :]
    return len(found) == len(wanted) and all(isinstance(one, str) or one == size for one, size in zip(wanted, found, strict=True))


def check_column(values: Floats) -> None:
    """Raise ArgumentError unless values are float32 or float64 of shape (n_values,)."""
    check_array("values", values, FLOATS, ("n_values",), "pass one column of floats at a time")


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Raise ArgumentError unless a value is a whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        message = f"{name} must be a whole number from {least} to {most}, got {value!r}"
        raise ArgumentError(message)


def check_number(name: str, value: object) -> None:
    """Raise ArgumentError unless a value is a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        message = f"{name} must be a number, got {value!r}"
        raise ArgumentError(message)


def check_one_of(name: str, value: object, known: Iterable[object]) -> None:
    """Raise ArgumentError unless a value is one of those that are known."""
    known = list(known)
    if not any(type(value) is type(one) and value == one for one in known):  # what has no truth, such as a column, is compared with none
        message = f"{name} must be one of {', '.join(map(str, known))}, got {value!r}"
        raise ArgumentError(message)


def check_offsets(name: str, offsets: Int32s | Int64s, size: int) -> Int64s:
    """Check where rows begin in a buffer of `size` entries, and where the last one ends, as Arrow tells it; return read-only int64."""
    check_array(name, offsets, (np.int32, np.int64), ("n_rows + 1",))
    ends = [*offsets[:1].tolist(), *offsets[-1:].tolist()]
    if not ends or ends[0] < 0 or ends[1] > size or (offsets[1:] < offsets[:-1]).any():
        message = f"{name} must rise from 0 or more to at most {size}, the length of the buffer; got {' … '.join(map(str, ends)) or 'none'}"
        raise ArgumentError(message)
    return read_only(offsets.astype(np.int64, copy=False))


def check_end_to_end(name: str, values: Uint8s, sizes: Int64s) -> Int64s:
    """Check that values of pictures lie end to end, so many of each; return where each picture's begin, and where the last ones end."""
    check_array(name, values, np.uint8, ("n_values",), "lay pictures end to end with `perceptual.pack`")
    offsets = offsets_of(sizes)
    if offsets[-1] != values.size:
        message = f"the sizes describe {offsets[-1]} values, but {name} holds {values.size}"
        raise ArgumentError(message)
    return offsets


def check_pictures(pixels: Uint8s, shapes: Int64s) -> Int64s:
    """Check grey pictures that lie end to end, with their heights and widths; return where each begins, and where the last one ends."""
    check_array("shapes", shapes, np.int64, ("n", 2))
    if shapes.size and shapes.min() < 0:
        message = f"shapes must be heights and widths of 0 or more, got {shapes.min()}"
        raise ArgumentError(message)
    return check_end_to_end("pixels", pixels, shapes.prod(axis=1, dtype=np.int64))


def spanned(offsets: Int64s) -> int:
    """Return how many entries of a buffer lie in the rows that offsets tell: the buffer may be that of many more."""
    return int(offsets[-1] - offsets[0])


def offsets_of(sizes: ArrayLike) -> Int64s:
    """Return where rows of such sizes begin when they lie end to end, and where the last one ends: int64 of shape (n_rows + 1,)."""
    return np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a contiguous view that is read-only, as arrays from Arrow are: one compiled kernel for both."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def edges(sizes: Sequence[int] | Int64s, most: int) -> list[int]:
    """Return where batches of items begin, and where the last one ends: each takes at most so much, or is one item.

    `sizes` is what the items before each one take, and all of them: items + 1, rising.
    """
    found = [0]
    while found[-1] < len(sizes) - 1:
        found.append(max(found[-1] + 1, bisect_right(sizes, sizes[found[-1]] + most) - 1))
    return found
