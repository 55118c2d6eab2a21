"""Runs grids of a kernel: block after block, and the threads of a block one at a time, upwards and downwards in turns between barriers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import binding as llvm
from numba import njit, types

from emulator import checks
from emulator import lowering as the
from emulator.arithmetic import declarations
from emulator.ptx import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

ARCHITECTURE = (9, 0)
DIVERGED = -3
UNWRITTEN = 0xA5  # what shared memory holds at first
MOST_SHADOWED = 1 << 27  # bytes whose accesses are remembered: 24 bytes for each that is touched


class KernelFault(AssertionError):
    """A kernel did what a GPU does not forgive: an access outside its arrays or to an odd address, a race, a barrier that some miss."""


class Entry(types.WrapperAddressProtocol):
    """A kernel's function, for Numba to call."""

    def __init__(self, address: int) -> None:
        self.address = address

    def __wrapper_address__(self) -> int:
        return self.address

    def signature(self) -> Any:
        """Return its type."""
        return types.int32(types.uint64, types.uint64, *[types.int32] * 5)


@dataclass(slots=True)
class Program:
    """A kernel as machine code of this processor.

    Attributes
    ----------
    touch
        Address of the function that is asked before each access, or none; see `lowering.Lowering`.
    object_code
        What LLVM has made of the function; it holds no address, and is the same in all processes.
    """

    name: str
    touch: int | None
    object_code: bytes
    frame_size: int
    shared_size: int
    parameter_bytes: int
    sites: list[Any]
    blocks: list[Any]
    constants: list[NDArray[np.uint8]]
    entry: Entry = field(init=False)
    linked: Any = field(init=False, repr=False)  # the code lives as long
    constants_at: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.linked = llvm.create_mcjit_compiler(llvm.parse_assembly(""), processor())
        self.linked.add_object_file(llvm.ObjectFileRef.from_data(self.object_code))
        self.linked.finalize_object()
        self.entry = Entry(self.linked.get_function_address("kernel"))
        self.constants_at = np.array([one.ctypes.data for one in self.constants], np.int64)


def processor() -> Any:
    """Return this processor, for LLVM."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(opt=1)


def translation(ptx: str, *, touched: bool = False, visited: bool = False) -> dict[str, Any]:
    """Return what a program is made of, but its name and the function that it asks: nothing of this process."""
    kernel = read(ptx)
    lowering = the.Lowering(kernel, touched=touched, visited=visited)
    text = lowering.write()
    module = llvm.parse_assembly(text + declarations(text))
    module.verify()
    machine = processor()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    builder.getModulePassManager().run(module, builder)
    return {
        "object_code": machine.emit_object(module),
        "frame_size": lowering.frame_size,
        "shared_size": kernel.shared_size,
        "parameter_bytes": lowering.parameter_bytes,
        "sites": lowering.sites,
        "blocks": lowering.blocks,
        "constants": [np.frombuffer(value, np.uint8).copy() for value in kernel.constants.values()],
    }


def translated(name: str, ptx: str, *, touch: int | None = None, visited: bool = False) -> Program:
    """Return PTX as machine code, which asks a function before each access where there is one."""
    return Program(name, touch, **translation(ptx, touched=touch is not None, visited=visited))


def total(sizes: Sequence[int]) -> int:
    """Return how many blocks or threads there are."""
    return int(np.prod(sizes))


def flattened(value: Any) -> Iterator[Any]:
    """Yield what a kernel gets for an argument: of an array object and parent, number and size of items, address, shape and strides."""
    if isinstance(value, np.ndarray):
        address = value.__array_interface__["data"][0] if value.size else 0
        yield from map(np.int64, (0, 0, value.size, value.itemsize, address, *value.shape, *value.strides))
    elif isinstance(value, tuple):
        for one in value:
            yield from flattened(one)
    else:
        yield np.asarray(value)[()]


def arrays_of(value: Any) -> Iterator[NDArray[Any]]:
    """Yield the arrays of an argument."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from arrays_of(one)


def packed(values: Sequence[Any]) -> NDArray[np.uint8]:
    """Return parameters as they lie in memory, each at a multiple of its size."""
    room = bytearray()
    for value in values:
        room += bytes(-len(room) % value.itemsize) + value.tobytes()
    return np.frombuffer(bytearray(room), np.uint8)


@njit(nogil=True)
def run_block(
    kernel: Any, machine: NDArray[np.int64], frames: NDArray[np.int64], states: NDArray[np.int32], threads: tuple[int, ...], down: bool
) -> int:
    """Run one block, until all its threads have ended."""
    states[:] = 0
    x, y, z = threads
    total = x * y * z
    machine[the.VOTES] = machine[checks.EPOCH] = 0
    while True:
        waits = ended = 0
        for number in range(total):
            thread = total - 1 - number if down else number
            if states[thread] == the.ENDED:
                ended += 1
                continue
            frame = frames[thread].ctypes.data
            at = np.int32(thread % x), np.int32(thread // x % y), np.int32(thread // x // y)
            state = kernel(machine.ctypes.data, frame, states[thread], np.int32(thread), at[0], at[1], at[2])
            states[thread] = state
            if state == the.STRAYED:
                return the.STRAYED
            if state > 0 and waits > 0 and waits != state:
                return DIVERGED
            if state > 0:
                waits = state
            else:
                ended += 1
        if ended == total:
            return 0
        if ended:
            return DIVERGED
        machine[the.VOTE], machine[the.VOTES] = machine[the.VOTES], 0
        machine[checks.EPOCH] += 1
        down = not down


class Grid:
    """One launch of a program.

    Parameters
    ----------
    program
        What runs.
    blocks, threads
        Three numbers each.
    dynamic
        Bytes of shared memory that the launch asks for.
    arguments
        Of the host: arrays, numbers, and tuples of these.
    checked
        Whether accesses are checked; the program was translated with `checks.touch`.
    """

    def __init__(
        self, program: Program, blocks: Sequence[int], threads: Sequence[int], dynamic: int, arguments: Sequence[Any], *, checked: bool
    ) -> None:
        self.program, self.blocks, self.threads = program, tuple(blocks), tuple(threads)
        self.arguments = arguments  # whose memory it works on
        count = total(self.threads)
        self.parameters = packed([one for argument in arguments for one in flattened(argument)])
        assert self.parameters.size == program.parameter_bytes, f"{program.name}: arguments are not of the kernel's types"
        self.shared = np.full(program.shared_size + dynamic, UNWRITTEN, np.uint8)
        self.states = np.zeros(count, np.int32)
        self.frames = np.zeros((count, max(1, program.frame_size // 8)), np.int64)
        self.machine = machine = np.zeros(checks.WORDS, np.int64)
        machine[the.PARAMETERS] = self.parameters.ctypes.data
        machine[the.SHARED] = self.shared.ctypes.data
        machine[the.BLOCK_SIZE : the.BLOCK_SIZE + 3] = self.threads
        machine[the.GRID_SIZE : the.GRID_SIZE + 3] = self.blocks
        machine[the.DYNAMIC], machine[the.TOUCH] = dynamic, program.touch or 0
        machine[the.CONSTANTS] = program.constants_at.ctypes.data
        self.shared_shadows = np.zeros((0, 3), np.int64)
        if checked:
            given = [one for argument in arguments for one in arrays_of(argument)]
            self.spans = spans = checks.spans_of([self.shared, *program.constants, *given])
            size = int((spans[:, 1] - spans[:, 0]).sum())
            assert size <= MOST_SHADOWED, f"{program.name}: {size} bytes are too many to look for races"
            self.shadows = np.zeros((size, 3), np.int64)
            machine[checks.SPANS], machine[checks.SPAN_COUNT] = spans.ctypes.data, len(spans)
            machine[checks.SHADOWS] = self.shadows.ctypes.data
            if self.shared.size:
                begin = self.shared.ctypes.data
                row = spans[int(np.searchsorted(spans[:, 1], begin, side="right"))]
                before = int(row[2] + begin - row[0])
                self.shared_shadows = self.shadows[before : before + self.shared.size]

    def run(self, *, down: bool = False) -> None:
        """Run all blocks, from the last one on where `down`.

        Raises
        ------
        KernelFault
            A thread strayed.
        """
        numbers = range(total(self.blocks))
        for number in reversed(numbers) if down else numbers:
            self.run_block(number, down=down)

    def run_block(self, number: int, *, down: bool = False) -> None:
        """Run one block."""
        x, y, _ = self.blocks
        self.machine[the.BLOCK : the.BLOCK + 3] = number % x, number // x % y, number // x // y
        self.shared[:] = UNWRITTEN
        self.shared_shadows[:] = 0  # no other block sees it
        result = run_block(self.program.entry, self.machine, self.frames, self.states, self.threads, down)
        if result == DIVERGED:
            where = self.machine[the.BLOCK : the.BLOCK + 3].tolist()
            raise KernelFault(f"{self.program.name}: block {where} has a barrier that only some of its threads reach")
        if result:
            raise KernelFault(f"{self.program.name}: {checks.told(self.machine, self.program.sites, self.spans)}")
