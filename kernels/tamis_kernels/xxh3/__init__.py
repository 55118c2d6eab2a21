"""XXH3 of 128 bits, with seed 0, of many short records at once, straight from Arrow buffers.

The function is that of the xxHash library (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md): the same 128 bits. A call of
the library costs some hundred nanoseconds in Python; a record here, some ten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis_kernels.arrays import spanned
from tamis_kernels.backend import implementation
from tamis_kernels.ngrams import text_arguments

if TYPE_CHECKING:
    from tamis_kernels.backend import AnyBackend
    from tamis_kernels.types import Int32s, Int64s, Uint8s, Uint64s

__all__ = ["hash128"]


def hash128(data: Uint8s, offsets: Int32s | Int64s, *, backend: AnyBackend = "auto") -> Uint64s:
    """Return the XXH3 of 128 bits of each record.

    Parameters
    ----------
    data, offsets
        As in `tamis_kernels.ngrams.hashes`: record i is `data[offsets[i]:offsets[i + 1]]`.
    backend
        Where to run.

    Returns
    -------
    uint64[records, 2]
        The upper and the lower 64 bits: `xxhash.xxh3_128_intdigest(record)` is `(upper << 64) | lower`.

    Raises
    ------
    ArgumentError
        An argument has the wrong dtype, shape or value.
    """
    data, offsets, _, _ = text_arguments(data, offsets, None, "byte", 1)
    out = np.empty((offsets.size - 1, 2), np.uint64)
    implementation("xxh3", backend, spanned(offsets)).hash128(data, offsets, out)
    return out
