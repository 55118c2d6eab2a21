"""How CUDA kernels are compiled, where the default would not do, and where they are kept.

NVIDIA's compilers fuse a product with the sum that it goes into, which saves a rounding and so gives other bits than a processor. They
leave alone what is asked for as a rounded product, so that is what `*` of floats becomes in CUDA kernels, shared scalar functions included.

Indices are places from the begin: Numba asks of each whether it is negative, and so counts from the end, which is three to six instructions
of the dozen that an element may take. No kernel has such indices; one that had would leave its arrays in the tests of compiled kernels.

Loops count without a branch: Numba steps on where there is a next place alone, which becomes three selections an element. What has no
next place is asked for none.
"""

from __future__ import annotations

import importlib
import operator
import os
from fractions import Fraction
from functools import cache
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, cuda, types

from tamis_kernels.compiled import Forgiving, simulated

PACKAGE = __name__.rpartition(".")[0]


def _round_products(kind: Any, name: str) -> None:  # pragma: no cover - the simulator multiplies as Python does
    from llvmlite import ir
    from numba.cuda.cudaimpl import lower

    def product(_context: Any, builder: Any, _signature: Any, factors: Any) -> Any:
        number = factors[0].type
        known = builder.module.globals.get(name)
        return builder.call(known or ir.Function(builder.module, ir.FunctionType(number, (number, number)), name), factors)

    lower(operator.mul, kind, kind)(product)


def _arrays() -> dict[str, Any]:  # pragma: no cover - the simulator's are NumPy's
    """Return Numba's module of arrays; numba-cuda asks NumPy for a name that 2.5 has no more, and is kept up no longer (its issue 907)."""
    gone = not hasattr(np, "row_stack")
    if gone:
        vars(np)["row_stack"] = np.vstack
    try:
        return vars(importlib.import_module("numba.cuda.np.arrayobj"))
    finally:
        if gone:
            del vars(np)["row_stack"]


def _index_from_the_begin() -> None:  # pragma: no cover - the simulator indexes as Python does
    _arrays()["fix_integer_index"] = lambda context, builder, kind, index, _size: context.cast(builder, index, kind, types.intp)


def _count_without_a_branch() -> None:  # pragma: no cover - the simulator counts as Python does
    from numba.cuda.core.imputils import RefType, iternext_impl
    from numba.cuda.cpython.rangeobj import registry

    @iternext_impl(RefType.BORROWED)
    def following(context: Any, builder: Any, signature: Any, arguments: Any, result: Any) -> None:
        state = context.make_helper(builder, signature.args[0], value=arguments[0])
        count, value = builder.load(state.count), builder.load(state.iter)
        result.set_valid(builder.icmp_signed(">", count, count.type(0)))
        result.yield_(value)
        builder.store(builder.sub(count, count.type(1)), state.count)
        builder.store(builder.add(value, state.step), state.iter)

    for kind in (types.range_iter32_type, types.range_iter64_type):
        registry.lower("iternext", kind)(following)


if not simulated():  # pragma: no cover
    _index_from_the_begin()
    _count_without_a_branch()
    _round_products(types.float64, "llvm.nvvm.mul.rn.d")
    _round_products(types.float32, "llvm.nvvm.mul.rn.f")
    os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")  # small inputs are no mistake
    config.reload_config()  # type: ignore[no-untyped-call]


def block_of(threads: int) -> Any:
    """Return a decorator of a kernel whose blocks have at most so many threads.

    The assembler shares out registers for these; where it knows of no block it takes fewer, and waits for some loads before others.
    """
    return cuda.jit if simulated() else cuda.jit(launch_bounds=threads)


@cuda.jit(device=True)
def _fused(first: float, second: float, addend: float) -> float:  # pragma: no cover - the simulator rounds twice
    return float(cuda.fma(first, second, addend))


def _exactly(first: float, second: float, addend: float) -> float:
    return float(Fraction(first) * Fraction(second) + Fraction(addend))


fused = _exactly if simulated() else _fused
"""Return a product and a sum of finite float64 that are rounded once, for a kernel that asks for it."""


@cache
def _sources() -> str:  # pragma: no cover - the simulator compiles nothing
    """Return what stands for all that kernels are made of, functions of other files included."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@cache
def keep(kernel: Any) -> None:  # pragma: no cover - the simulator compiles nothing
    """Let a kernel of this package be loaded from Numba's cache, if it was compiled for this kind of GPU before, and else be put there.

    A run takes dozens of kernels of a second or more each, and so would each of its processes, each time.
    """
    if not kernel.py_func.__module__.startswith(f"{PACKAGE}."):
        return
    from numba.cuda.dispatcher import CUDACache

    class Kept(Forgiving, CUDACache):  # type: ignore[misc]  # untyped
        def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
            return sig, codegen.magic_tuple(), metadata.version("numba-cuda"), kernel.py_func.__qualname__, _sources()

    kernel._cache = Kept.of(kernel.py_func)
