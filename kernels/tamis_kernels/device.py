"""What CUDA kernels share: arrays on the device, launches, and products that are rounded. Only `cuda.py` modules import it.

NVIDIA's compilers fuse a product with the sum that it goes into, which saves a rounding and so gives other bits than a processor. They
leave alone what is asked for as a rounded product, so that is what `*` of floats becomes in CUDA kernels, shared scalar functions included.

Arrays are CuPy's, whose pool hands out memory without asking the driver each time; Numba's kernels take them as they are. In Numba's
simulator, which has no device, NumPy's arrays stand for them.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from numba import cuda, types

from tamis_kernels.backend import simulated

if simulated():
    import numpy as xp
else:
    import cupy as xp  # type: ignore[no-redef]  # pragma: no cover - coverage is measured in the simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

THREADS = 256
"""Threads a block, where a thread has an item of its own and nothing is shared."""

__all__ = ["in_batches", "launch", "on_device", "row_of", "to_device", "to_host", "xp"]


def _round_products(kind: Any, name: str) -> None:  # pragma: no cover - the simulator multiplies as Python does
    from llvmlite import ir
    from numba.cuda.cudaimpl import lower

    def product(_context: Any, builder: Any, _signature: Any, factors: Any) -> Any:
        number = factors[0].type
        known = builder.module.globals.get(name)
        return builder.call(known or ir.Function(builder.module, ir.FunctionType(number, (number, number)), name), factors)

    lower(operator.mul, kind, kind)(product)


if not simulated():  # pragma: no cover
    _round_products(types.float64, "llvm.nvvm.mul.rn.d")
    _round_products(types.float32, "llvm.nvvm.mul.rn.f")


def to_device(array: NDArray[Any]) -> Any:
    """Return a copy on the device."""
    return xp.array(array)


def on_device(array: Any) -> Any:
    """Return what is on the device as it is, and a copy of what is not; to be read alone, since the simulator copies nothing."""
    return xp.asarray(array)


def to_host(array: Any, out: NDArray[Any]) -> None:
    """Copy an array of the device over `out`."""
    out[...] = array if simulated() else array.get()


def launch(kernel: Any, items: int, *arguments: Any) -> None:
    """Run a kernel with a thread for each item; none where there is no item, which CUDA would refuse."""
    if items:
        kernel[-(-items // THREADS), THREADS](*arguments)


def in_batches(work: Callable[[int, int], None], items: int, most: int) -> None:
    """Call `work(first, last)` for batches of at most so many items, in halves where the device has no memory for one.

    Raises
    ------
    MemoryError
        There is none for a single item; CuPy's own error is one of these.
    """
    waiting = [(first, min(first + most, items)) for first in range(0, items, most)][::-1]
    while waiting:
        first, last = waiting.pop()
        try:
            work(first, last)
        except MemoryError:
            middle = (first + last) // 2
            if middle == first:
                raise
            waiting += [(middle, last), (first, middle)]


@cuda.jit(device=True)
def row_of(offsets: NDArray[np.int64], place: int) -> int:
    """Return the row that a place of a flat buffer belongs to: the last one that starts there or before, so that empty rows have none."""
    low, high = 0, offsets.size - 1
    while low < high:
        middle = (low + high + 1) // 2
        if offsets[middle] <= place:
            low = middle
        else:
            high = middle - 1
    return low
