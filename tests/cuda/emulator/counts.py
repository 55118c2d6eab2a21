"""Counts what a grid would cost a GPU: instructions of its warps, lanes that work in them, lines of memory that its accesses touch.

Threads run one at a time here, so that a warp is put together afterwards: it passes a basic block as often as the thread of it that passes
it most, and the accesses that its threads make at an instruction for the n-th time are one. That is what warps do that part and meet again
at once; others do no better.

What instructions of the machine that is, and how long they keep the units of a multiprocessor busy, `machine_code` says.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray, cfunc  # type: ignore[attr-defined]  # carray is not told of

from emulator import checks, grid
from emulator import lowering as the
from emulator.machine_code import WARP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulator.machine_code import Machine

TRACE, ROOM, COUNT, THREADS = 26, 27, 28, 29
"""Places in the machine: where accesses are written, how many there is room for, how many there are, and how many threads note them."""
SECTOR, LINE, BANKS = 32, 128, 32
MOST_ACCESSES, MOST_WARPS = 1 << 24, 4  # of a block, that are noted


@dataclass(slots=True)
class Costs:
    """What blocks of a kernel cost.

    Attributes
    ----------
    cycles
        Of a quarter of a multiprocessor, by the busiest of its units.
    alone
        The same, if each warp took as long as by itself and as many as there is room for did so side by side. A sector comes from memory
        at the first instruction that touches it, and else from the first-level cache.
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
    alone: float = 0.0
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


class Counter:
    """Runs grids, and counts on some of their blocks.

    Parameters
    ----------
    blocks
        How many blocks of a grid are counted, spread over it.
    """

    def __init__(self, blocks: int = 8) -> None:
        self.most = blocks
        self.found: dict[str, tuple[Costs, int, int]] = {}  # costs of a kernel, blocks counted, and blocks that ran
        self.longest: dict[str, float] = {}  # cycles of a kernel's longest warps by themselves, over its launches

    def run(
        self,
        plain: grid.Program,
        traced: grid.Program,
        blocks: Sequence[int],
        threads: Sequence[int],
        shared: int,
        arguments: Sequence[Any],
        machine: Machine,
    ) -> None:
        """Run all blocks of a launch."""
        fast = grid.Grid(plain, blocks, threads, shared, arguments, checked=False)
        slow = grid.Grid(traced, blocks, threads, shared, arguments, checked=False)
        count = grid.total(blocks)
        most = min(count, self.most)
        chosen = {(2 * part + 1) * count // (2 * most) for part in range(most)}  # amid equal parts: the last block often has less to do
        found, longest = Costs(), 0.0
        for number in range(count):
            if number in chosen:
                costs, alone = counted(slow, number, machine, shared)
                found += costs
                longest = max(longest, alone)
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


def counted(one: grid.Grid, number: int, code: Machine, shared: int) -> tuple[Costs, float]:
    """Run a block; return what it costs, and how many cycles that warp of it would take by itself that takes the longest."""
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
    warps = np.concatenate([visits, np.zeros((-total % WARP, passages), np.int64)]).reshape(-1, WARP, passages)
    passed = warps.max(axis=1)
    *units, near, far = code.weights.T
    lanes = float((visits.sum(axis=0) @ code.weights)[0])
    more = max(1, len(warps) / MOST_WARPS)
    *memory, missed = _memory(accesses[: machine[COUNT]], one)
    alone = passed @ (near + missed * (far - near))
    busy = [float((passed @ unit).sum()) for unit in units]
    waiting = float(alone.sum()) / code.resident(total, one.program.shared_size + shared)
    return Costs(max(busy), waiting, busy[0], lanes, *(more * found for found in memory)), float(alone.max())


def _memory(accesses: NDArray[np.int64], one: grid.Grid) -> tuple[int, int, int, int, int, int, NDArray[np.float64]]:
    """Return requests, lines, sectors, footprint, turns of shared memory and atomics of accesses in the order of threads.

    Last comes for each basic block the share of its sectors that no instruction before it has touched.
    """
    constant = np.array(["const" in site.opcode for site in one.program.sites], np.bool_)
    accesses = accesses[~constant[accesses[:, 1] >> 12]]  # which have a cache of their own
    address, place, size = accesses[:, 0], accesses[:, 1], accesses[:, 2] >> 2
    begin = one.shared.ctypes.data
    inside = (address >= begin) & (address < begin + one.shared.size)
    order = np.argsort(place, kind="stable")
    runs = np.flatnonzero(np.diff(place[order], prepend=-1))
    times = np.empty(len(accesses), np.int64)  # the how many-th a thread makes at this instruction
    times[order] = np.arange(len(accesses)) - np.repeat(runs, np.diff(np.append(runs, len(accesses))))
    keys, request = np.unique((place >> 12) << 40 | (place & 0xFFF) // WARP << 32 | times, return_inverse=True)
    outer = ~inside
    sectors = _touched(request[outer], address[outer], size[outer], SECTOR)
    lines = _touched(request[outer], address[outer], size[outer], LINE)
    words = _touched(request[inside], address[inside] - begin, size[inside], 4)
    atomics = int(((accesses[:, 2] & 3) == the.ATOMIC)[outer].sum())
    _, first = np.unique(sectors[:, 1], return_index=True)
    count = len(one.program.sites)
    touched, fresh = (np.bincount(keys[some] >> 40, minlength=count) for some in (sectors[:, 0], sectors[first, 0]))
    missed = _by_block(fresh, one) / np.maximum(1, _by_block(touched, one))
    return len(np.unique(request[outer])), len(lines), len(sectors), len(first), _most_in_a_bank(words), atomics, missed


def _by_block(counts: NDArray[np.int64], one: grid.Grid) -> NDArray[np.float64]:
    """Return what was counted at instructions that access memory by the basic blocks that they are in."""
    home = {step.line: place for place, block in enumerate(one.program.blocks) for step in block}
    found = np.zeros(len(one.program.blocks))
    np.add.at(found, [home[site.line] for site in one.program.sites], counts)
    return found


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
