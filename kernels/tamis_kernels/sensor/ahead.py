"""Rows of the next block are asked for while this one is worked on: memory and arithmetic overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import config, types
from numba.extending import intrinsic

from tamis_kernels.compiled import of_views

if TYPE_CHECKING:
    from tamis_kernels.types import Floats, Int64s

SHARES = 6  # of a block: a core waits for some two dozen lines at once, and more requests in a row would stop it
LINE = 8  # rows of 8 bytes in a line of the cache
COMPILED = not config.DISABLE_JIT  # type: ignore[attr-defined]


@intrinsic
def _request(_typing: Any, array: Any, place: Any) -> Any:  # pragma: no cover - interpreted code asks for nothing
    """Ask for the line of an array's element, to be read soon."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        from llvmlite import ir

        name, number, byte = "llvm.prefetch.p0", ir.IntType(32), ir.IntType(8).as_pointer()
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        line = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        builder.call(prefetch, [line, number(0), number(3), number(1)])  # to read, into the nearest level, data
        return context.get_dummy_value()

    return types.void(array, place), emit


@of_views
def ask_for(rows: tuple[Int64s, Floats], share: int) -> None:
    """Ask for one of the shares of the times and values of some rows."""
    time, value = rows
    for k in range(share * time.size // SHARES, (share + 1) * time.size // SHARES, LINE):
        if COMPILED:  # pragma: no cover
            _request(time, k)  # type: ignore[call-arg]
            _request(value, k)
