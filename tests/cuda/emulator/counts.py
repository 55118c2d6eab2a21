"""Counts what a grid would cost a GPU: instructions of its warps, lanes that work in them, lines of memory that its accesses touch.

Threads run one at a time here, so that a warp is put together afterwards: it passes a basic block as often as the thread of it that passes
it most, and the accesses that its threads make at an instruction for the n-th time are one. That is what warps do that part and meet again
at once; others do no better.

An instruction of PTX is one or several of a GPU, and each takes the time of one unit of a multiprocessor: `WORK` says how many cycles of a
quarter of it, which issues one instruction a cycle. From the throughputs of compute capability 9.0 in the CUDA C++ Programming Guide (8.1),
and the width of registers, which are 32 bits: what works on 64 is two or more.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray, cfunc  # type: ignore[attr-defined]  # carray is not told of

from emulator import checks, grid
from emulator import lowering as the

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulator.ptx import Instruction

TRACE, ROOM, COUNT, THREADS = 26, 27, 28, 29
"""Places in the machine: where accesses are written, how many there is room for, how many there are, and how many threads note them."""
WARP, SECTOR, LINE, BANKS = 32, 32, 128, 32
MOST_ACCESSES, MOST_WARPS = 1 << 24, 4  # of a block, that are noted
UNITS = ("issue", "logic", "product", "either", "double", "special")
"""Units of a quarter of a multiprocessor, in the order of `WORK`. Additions go to the one for logic or to the one for products."""
FREE = {"ld.param", "cvta"}
"""What takes no instruction of its own."""


def _units(
    issue: float, logic: float = 0, product: float = 0, either: float = 0, double: float = 0, special: float = 0
) -> NDArray[np.float64]:
    return np.array([issue, 2 * logic, 2 * product, 2 * either, 2 * double, 8 * special])


WORK = {
    "add.32": _units(1, either=1), "sub.32": _units(1, either=1), "add.64": _units(2, either=2), "sub.64": _units(2, either=2),
    "neg.64": _units(2, either=2), "abs.64": _units(4, logic=2, either=2), "abs.32": _units(1, logic=1),
    "min.64": _units(4, logic=4), "max.64": _units(4, logic=4), "setp.64": _units(2, logic=2),
    "mul.lo.32": _units(1, product=1), "mad.lo.32": _units(1, product=1), "mul.wide.32": _units(1, product=2),
    "mul.hi.32": _units(1, product=2),
    "mul.lo.64": _units(4, product=5), "mad.lo.64": _units(4, product=5), "mul.hi.64": _units(8, product=8, either=4),
    "mul.lo.16": _units(1, product=1), "dp4a.32": _units(1, product=1), "dp2a.32": _units(1, product=1),
    "popc.32": _units(1, special=1), "popc.64": _units(3, special=2, either=1),
    "clz.32": _units(1, special=1), "clz.64": _units(5, special=2, logic=3),
    "div.32": _units(20, logic=6, product=6, special=2), "rem.32": _units(22, logic=7, product=7, special=2),
    "div.64": _units(70, logic=25, product=25, special=4), "rem.64": _units(75, logic=27, product=27, special=4),
    "div.f64": _units(25, logic=5, double=10, special=1), "sqrt.f64": _units(25, logic=5, double=10, special=1),
    "div.f32": _units(10, special=1), "sqrt.f32": _units(10, special=1), "rcp.f64": _units(1, special=1),
    **{f"{name}.f64": _units(1, double=1) for name in ("add", "sub", "mul", "fma", "setp")},
    **{f"{name}.f64": _units(4, logic=2, double=1) for name in ("min", "max")},
    **{f"{name}.f32": _units(1) for name in ("add", "sub", "mul", "fma")},
    "cvt.f64": _units(1, special=1), **{f"{name}.{bits}": _units(1, either=1) for name in ("cvt", "mov") for bits in (32, 64)},
    "bra": _units(1), "bar": _units(1), "ret": _units(1), "ld": _units(1), "st": _units(1), "atom": _units(1), "red": _units(1),
}  # fmt: skip
"""Cycles of each unit by name and width; what is not here is logic, of one instruction for 32 bits and two for 64."""


@dataclass(slots=True)
class Costs:
    """What blocks of a kernel cost.

    Attributes
    ----------
    cycles
        Of a quarter of a multiprocessor, by the busiest of its units.
    slots
        Instructions that warps issue.
    lanes
        The same, by threads: 32 times as many where all lanes work.
    requests, lines, sectors
        Accesses to global memory by warps, the lines of 128 bytes and sectors of 32 bytes that they touch.
    footprint
        Sectors of global memory that blocks touch, each counted once a block: what must come from, or go to, memory at least.
    shared
        Turns that shared memory takes: as many for an access as it touches words in the same bank.
    atomics
        Atomic operations on global memory, of threads.
    """

    cycles: float = 0.0
    slots: float = 0.0
    lanes: float = 0.0
    requests: float = 0
    lines: float = 0
    sectors: float = 0
    footprint: float = 0
    shared: float = 0
    atomics: float = 0

    def __iadd__(self, other: Costs) -> Costs:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self


@cfunc("int32(int64, int64, int32, int32, int32, int32)")
def trace(address_of_machine: int, address: int, size: int, kind: int, site: int, thread: int) -> int:
    """Note an access."""
    machine = carray(checks.pointer(address_of_machine), checks.WORDS)  # type: ignore[call-arg]  # Numba gives its context
    place = machine[COUNT]
    if thread >= machine[THREADS] or place == machine[ROOM]:
        return 0
    row = carray(checks.pointer(machine[TRACE] + 24 * place), 3)
    row[0], row[1], row[2] = address, np.int64(site) << 12 | thread, np.int64(size) << 2 | kind
    machine[COUNT] = place + 1
    return 0


def work(instruction: Instruction) -> NDArray[np.float64]:
    """Return how many cycles of each unit an instruction takes."""
    name, *modifiers = instruction.opcode
    if name in FREE or ".".join(instruction.opcode[:2]) in FREE:
        return _units(0)
    kind = modifiers[-1] if modifiers else ""
    width = kind if kind[:1] == "f" else kind[1:]
    if name == "cvt":
        width = "f64" if "f64" in modifiers or "f32" in modifiers else width
    part = f"{name}.{modifiers[0]}.{width}" if name in ("mul", "mad") and width[:1] != "f" else f"{name}.{width}"
    known = WORK.get(part, WORK.get(name))
    return known if known is not None else _units(2, logic=2) if width == "64" else _units(1, logic=1)


def busiest(units: NDArray[np.float64]) -> float:
    """Return the cycles that pass while all units have done their work, if they are never kept waiting."""
    issue, logic, product, either, double, special = units
    return float(max(issue, logic, product, (logic + product + either) / 2, double, special))


class Counter:
    """Runs grids, and counts on some of their blocks.

    Parameters
    ----------
    blocks
        How many blocks of a grid are counted, spread over it.
    """

    def __init__(self, blocks: int = 4) -> None:
        self.most = blocks
        self.found: dict[str, tuple[Costs, int, int]] = {}  # costs of a kernel, blocks counted, and blocks that ran
        self.longest: dict[str, float] = {}  # instructions that a warp of a kernel issues one after another, over its launches

    def run(
        self,
        plain: grid.Program,
        traced: grid.Program,
        blocks: Sequence[int],
        threads: Sequence[int],
        shared: int,
        arguments: Sequence[Any],
    ) -> None:
        """Run all blocks of a launch."""
        fast = grid.Grid(plain, blocks, threads, shared, arguments, checked=False)
        slow = grid.Grid(traced, blocks, threads, shared, arguments, checked=False)
        count = grid.total(blocks)
        chosen = set(np.linspace(0, count - 1, min(count, self.most)).round().astype(int).tolist())
        found, longest = Costs(), 0.0
        for number in range(count):
            if number in chosen:
                costs, most = counted(slow, number)
                found += costs
                longest = max(longest, most)
            else:
                fast.run_block(number)
        before, seen, all_blocks = self.found.get(plain.name, (Costs(), 0, 0))
        before += found
        self.longest[plain.name] = self.longest.get(plain.name, 0.0) + longest
        self.found[plain.name] = before, seen + len(chosen), all_blocks + count

    def costs(self, name: str) -> Costs:
        """Return the costs of all blocks that ran of a kernel, as far as those counted stand for them."""
        found, seen, count = self.found[name]
        return Costs(*(getattr(found, one.name) * count / seen for one in fields(Costs)))


def counted(one: grid.Grid, number: int) -> tuple[Costs, float]:
    """Run a block; return what it costs, and how many instructions that warp of it issues that issues the most."""
    total, passages = grid.total(one.threads), len(one.program.blocks)
    visits = np.zeros((total, passages), np.int64)
    accesses = np.empty((MOST_ACCESSES, 3), np.int64)
    machine = one.machine
    machine[the.VISITS], machine[the.PASSAGES] = visits.ctypes.data, passages
    machine[TRACE], machine[ROOM], machine[COUNT], machine[THREADS] = accesses.ctypes.data, MOST_ACCESSES, 0, MOST_WARPS * WARP
    one.run_block(number)
    if machine[COUNT] == MOST_ACCESSES:
        raise grid.KernelFault(
            f"{one.program.name}: a block makes more accesses than the {MOST_ACCESSES} there is room for: count less work"
        )
    weights = np.array([sum(map(work, block), _units(0)) for block in one.program.blocks])
    warps = np.concatenate([visits, np.zeros((-total % WARP, passages), np.int64)]).reshape(-1, WARP, passages)
    each = warps.max(axis=1) @ weights
    units = each.sum(axis=0)
    lanes = float((visits.sum(axis=0) @ weights)[0])
    more = max(1, len(warps) / MOST_WARPS)
    memory = (more * found for found in _memory(accesses[: machine[COUNT]], one))
    return Costs(busiest(units), float(units[0]), lanes, *memory), float(each[:, 0].max())


def _memory(accesses: NDArray[np.int64], one: grid.Grid) -> tuple[int, int, int, int, int, int]:
    """Return requests, lines, sectors, footprint, turns of shared memory and atomics of accesses in the order of threads."""
    constant = np.array(["const" in site.opcode for site in one.program.sites], np.bool_)
    accesses = accesses[~constant[accesses[:, 1] >> 12]]  # which have a cache of their own
    address, place, size = accesses[:, 0], accesses[:, 1], accesses[:, 2] >> 2
    begin = one.shared.ctypes.data
    inside = (address >= begin) & (address < begin + one.shared.size)
    order = np.argsort(place, kind="stable")
    runs = np.flatnonzero(np.diff(place[order], prepend=-1))
    times = np.empty(len(accesses), np.int64)  # the how many-th a thread makes at this instruction
    times[order] = np.arange(len(accesses)) - np.repeat(runs, np.diff(np.append(runs, len(accesses))))
    _, request = np.unique((place >> 12) << 40 | (place & 0xFFF) // WARP << 32 | times, return_inverse=True)
    outer = ~inside
    sectors = _touched(request[outer], address[outer], size[outer], SECTOR)
    lines = _touched(request[outer], address[outer], size[outer], LINE)
    words = _touched(request[inside], address[inside] - begin, size[inside], 4)
    atomics = int(((accesses[:, 2] & 3) == the.ATOMIC)[outer].sum())
    return len(np.unique(request[outer])), len(lines), len(sectors), len(np.unique(sectors[:, 1])), _most_in_a_bank(words), atomics


def _touched(request: NDArray[np.int64], address: NDArray[np.int64], size: NDArray[np.int64], unit: int) -> NDArray[np.int64]:
    """Return each request and unit of memory that it touches, once."""
    first, last = address // unit, (address + size - 1) // unit
    parts = [(request, first)]
    for step in range(1, int((last - first).max(initial=0)) + 1):
        more = first + step <= last
        parts.append((request[more], first[more] + step))
    requests, units = (np.concatenate(one) for one in zip(*parts, strict=True))
    order = np.lexsort((units, requests))
    pairs = np.stack([requests[order], units[order]], axis=1)
    return pairs[np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1))] if len(pairs) else pairs


def _most_in_a_bank(words: NDArray[np.int64]) -> int:
    """Return the sum over requests of the words that its fullest bank has."""
    if not len(words):
        return 0
    banks, counts = np.unique(words[:, 0] * BANKS + words[:, 1] % BANKS, return_counts=True)
    starts = np.flatnonzero(np.diff(banks // BANKS, prepend=-1))
    return int(np.maximum.reduceat(counts, starts).sum())
