"""Memory that is free but still held."""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back() -> None:
    """Give memory that allocators keep for later back to the system; what is in use stays.

    After 10,000,000 rows it is 90 MB at the end of apply and 64 MB at the end of the ledger, and what comes next would stand on top of it.
    """
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
    if trim is not None:
        trim(0)
