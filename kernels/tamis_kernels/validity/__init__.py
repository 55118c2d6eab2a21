"""Values of an Arrow column that are not null, by its validity bitmap as it lies in memory.

Arrow keeps a bit a value, the lowest of a byte first, 1 where there is a value; what lies in the data under a 0 has no meaning (Apache
Arrow Columnar Format, "Validity bitmaps"). A slice of a column starts at any bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import check_array, check_column, read_only
from tamis_kernels.backend import implementation
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Floats, Uint8s

    Validity = tuple[Uint8s, int]  # the bitmap, and the bit in it of the first value

__all__ = ["check", "valid"]


def valid(values: Floats, validity: Validity, *, out: Floats | None = None, backend: AnyBackend = "auto") -> Floats:
    """Return the values that are not null, in order.

    Parameters
    ----------
    values
        ndarray of shape (n_values,), float32 or float64.
    validity
        The bitmap, uint8 of shape (n_bytes,), and the bit of the first value in it, 0 or more.
    out
        C-contiguous array of the dtype of values and at least their length, whose beginning is filled and returned. None: a new one.
    backend
        Where to run.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype or shape, or the bitmap ends before the values do.
    """
    check(values, validity)
    if out is None:
        out = np.empty(values.size, values.dtype)
    elif out.dtype != values.dtype or out.ndim != 1 or out.size < values.size or not out.flags.c_contiguous:
        message = f"out must be contiguous {values.dtype} of {values.size} values or more, got {out.dtype} of shape {out.shape}"
        raise ArgumentError(message)
    bitmap, offset = validity
    module = implementation("validity", backend, values.nbytes)
    found = module.compress(read_only(values), read_only(bitmap), offset, out)
    return out[:found]


def check(values: Floats, validity: Validity) -> None:
    """Refuse what `valid` cannot read."""
    bitmap, offset = validity
    check_column(values)
    check_array("the validity bitmap", bitmap, np.uint8, ("n_bytes",))
    if offset < 0 or offset + values.size > 8 * bitmap.size:
        message = f"a validity bitmap of {8 * bitmap.size} bits has none for values {offset} … {offset + values.size - 1}"
        raise ArgumentError(message)
