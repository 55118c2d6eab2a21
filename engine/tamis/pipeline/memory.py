"""How much memory a run takes, and memory that is free but still held."""

from __future__ import annotations

import ctypes

import pyarrow as pa

from tamis.errors import OutputError
from tamis_kernels import backend


def give_back() -> None:
    """Give memory that allocators keep for later back to the system, and to other processes on a GPU; what is in use stays.

    After 10,000,000 rows it is 90 MB at the end of apply and 64 MB at the end of the ledger, and what comes next would stand on top of it.
    """
    pa.default_memory_pool().release_unused()
    backend.give_back()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl has not
    if trim is not None:
        trim(0)


FIRST_PROCESS, WORKER = 600_000_000, 500_000_000  # bytes; the largest measured were 530 MB and 441 MB, at ten million rows


def workers_within(memory: int | None, jobs: int) -> int:
    """Return how many workers, at most `jobs`, fit into a budget beside the first process; None is no budget.

    What a run holds depends on its records only a little, and on its workers wholly.

    Raises
    ------
    OutputError
        Not even one fits.
    """
    if memory is None:
        return jobs
    if memory < FIRST_PROCESS + WORKER:
        message = (
            f"{memory / 1e6:.0f}MB of memory is too little: the first process takes up to {FIRST_PROCESS / 1e6:.0f} MB "
            f"and a worker {WORKER / 1e6:.0f} MB; give {(FIRST_PROCESS + WORKER) / 1e9:.1f}GB or more"
        )
        raise OutputError(message)
    return min(jobs, (memory - FIRST_PROCESS) // WORKER)
