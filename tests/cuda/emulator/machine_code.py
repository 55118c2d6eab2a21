"""What NVIDIA's assembler makes of a kernel: instructions for sm_90, and the time that each takes of the units of a multiprocessor.

nvJitLink makes machine code of PTX, as on a GPU, and notes the line of PTX behind each instruction; `nvdisasm` prints both. How often the
machine comes through a run of its instructions is not known here, but how often threads come through a basic block of PTX is. So a run
counts for the block that its branch or most of its instructions are of; copies that the assembler makes of a loop share its visits.

Each instruction also says how long its warp waits before the next, and of which earlier ones it needs the results, in 21 of its 128 bits:
four for the cycles, three and three for the flags that it raises when it has written and read, six for those it waits for (Jia, Maggioni,
Staiger and Scarpazza, "Dissecting the NVIDIA Volta GPU Architecture via Microbenchmarking", 2018, 2.1). What a flag is raised after is
`DELAYS`. So it is known how long a warp would take that has a multiprocessor for itself.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from emulator.ptx import Instruction

UNITS = ("issue", "logic", "product", "single", "double", "special", "uniform")
"""Units of a quarter of a multiprocessor: it issues an instruction of a warp in a cycle, to units that work beside each other. Logic adds,
shifts, compares and selects; products are those of integers, by which the assembler also moves and adds."""
CYCLES = {"logic": 2, "product": 2, "single": 1, "double": 2, "special": 8, "uniform": 2}
"""For an instruction of a warp, from the throughputs of compute capability 9.0 (CUDA C++ Programming Guide, 8.1)."""
ALONE = ("near", "far")
"""Cycles that a warp takes by itself where all it loads lies in the first-level cache, and where none does."""
DELAYS = {"LDG": (35, 600), "LD": (35, 600), "ATOM": (600, 600), "RED": (0, 0), "LDS": (30, 30), "ATOMS": (60, 60), "BAR": (30, 30)}
"""Cycles from issue to result, near and far: rounded from public measurements of Ampere and Hopper, none of them ours."""
DELAY = 20  # of all others that raise a flag: counts of bits, conversions, quotients, constants, moves between lanes
WARP, QUARTERS, REGISTERS, MOST_WARPS, MOST_BLOCKS, SHARED, RESERVED = 32, 4, 16_384, 64, 32, 228 << 10, 1 << 10
"""Threads of a warp; of a multiprocessor its quarters, the registers of each, warps, blocks, bytes of shared memory, and those of them that
the driver takes of each block (CUDA C++ Programming Guide, compute capability 9.0)."""
_KINDS = {
    "product": "IMAD IMUL IDP HFMA2 DP4A",
    "single": "FFMA FADD FMUL",
    "double": "DADD DMUL DFMA DSETP DMNMX",
    "special": "POPC FLO MUFU BREV I2F F2I F2F",
    "issue": "LD LDC LDG LDS LDL ST STG STS STL ATOM ATOMG ATOMS RED REDG BAR BRA BRX BSSY BSYNC BREAK CALL RET EXIT WARPSYNC MEMBAR "
    "ERRBAR CCTL DEPBAR S2R S2UR SHFL VOTE MATCH REDUX NANOSLEEP YIELD BMOV LDGSTS ACQBULK",
}
_UNIT = {name: unit for unit, names in _KINDS.items() for name in names.split()}
_TWICE = ("IMAD.WIDE", "IMAD.HI")  # products of 64 bits
_PINNED = ("LDG", "LDS", "STG", "STS", "ATOM", "RED", "BAR")
_ENDS = {"BRA", "BRX", "EXIT", "RET", "CALL", "BREAK", "BSYNC"}
_FLAGS = 6
_LINE = re.compile(r'//## File "\.nv_debug_ptx_txt[^"]*", line (\d+)')
_CODE = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(?: `\(([\w$]+)\))?")
_WORD = re.compile(r"/\* 0x([0-9a-f]{16}) \*/")
_SELDOM = ("_full", "_slowpath")  # quotients of floats that are subnormal or overflow
_ACCESSES, _SINGLE = {"ld", "st", "atom", "red", "bar"}, {"popc", "mad", "mul"}


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of the machine.

    Attributes
    ----------
    name, line
        With its modifiers, and the line of PTX that it was made of.
    calls
        The routine that it calls.
    control
        The bits that say what it waits for.
    """

    name: str
    line: int
    calls: str = ""
    control: int = 0

    @property
    def stall(self) -> int:
        """Cycles before the next instruction."""
        return max(1, self.control & 15)

    @property
    def raises(self) -> int:
        """The flag that it raises when it has its result; 7 where it raises none."""
        return self.control >> 5 & 7

    @property
    def needs(self) -> list[int]:
        """The flags that must be raised before it is issued."""
        return [flag for flag in range(_FLAGS) if self.control >> 11 + flag & 1]


def disassembler() -> str:
    """Return the path of `nvdisasm`, which is a part of CUDA's toolkit and of the package `triton`."""
    package = util.find_spec("triton")
    folders = package.submodule_search_locations if package else None
    for path in (None, *(f"{folder}/backends/nvidia/bin" for folder in folders or ())):
        if found := shutil.which("nvdisasm", path=path):
            return found
    message = "nvdisasm was not found: put that of CUDA's toolkit on the PATH, or install the one in triton: pip install --no-deps triton"
    raise FileNotFoundError(message)


def linked(ptx: str, architecture: str) -> tuple[bytes, str]:
    """Return the machine code of a kernel for an architecture, as `sm_90`, and what the assembler says of it."""
    from cuda.bindings import nvjitlink

    linker = nvjitlink.create(3, [f"-arch={architecture}", "-lineinfo", "-Xptxas=-v"])
    nvjitlink.add_data(linker, nvjitlink.InputType.PTX, ptx.encode(), len(ptx), "kernel.ptx")
    nvjitlink.complete(linker)
    image = bytearray(nvjitlink.get_linked_cubin_size(linker))
    nvjitlink.get_linked_cubin(linker, image)
    log = bytearray(nvjitlink.get_info_log_size(linker))
    nvjitlink.get_info_log(linker, log)
    nvjitlink.destroy(linker)
    return bytes(image), log.decode()


def numbers(pattern: str, said: str) -> list[int]:
    """Return the numbers that the assembler says at a place."""
    found = re.search(pattern, said)
    assert found, said
    return [int(group) for group in found.groups()]


@dataclass(frozen=True, slots=True)
class Machine:
    """A kernel for sm_90: the cycles that each basic block of PTX takes (see `weights`), and the registers of a thread."""

    weights: NDArray[np.float64]
    registers: int

    def resident(self, threads: int, shared: int) -> int:
        """Return how many warps of blocks of so many threads and bytes of shared memory a quarter of a multiprocessor holds."""
        warps = -(-threads // WARP)
        by_registers = QUARTERS * (REGISTERS // (WARP * (-(-self.registers // 8) * 8))) // warps
        blocks = min(MOST_BLOCKS, MOST_WARPS // warps, by_registers, SHARED // (shared + RESERVED))
        return max(1, blocks * warps // QUARTERS)


def machine(ptx: str, blocks: Sequence[Sequence[Instruction]]) -> Machine:
    """Return what a kernel, of which these are the basic blocks, is for the machine."""
    image, said = linked(ptx, "sm_90")
    (registers,) = numbers(r"Used (\d+) registers", said)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(image)
        text = subprocess.run([disassembler(), "-gp", "-c", "-hex", str(path)], capture_output=True, text=True, check=True).stdout
    return Machine(weights(text, blocks), registers)


def routines(text: str) -> dict[str, list[list[Step]]]:
    """Return the basic blocks of each routine: the kernel, and what it calls, such as a division of 64 bits. What pads them is left out."""
    found: dict[str, list[list[Step]]] = {}
    parts: list[list[Step]] = []
    line = 0
    rows = text.splitlines()
    for row, next_row in zip(rows, [*rows[1:], ""], strict=True):
        if row.startswith(".text."):
            parts = found.setdefault(row[len(".text.") :].rstrip(":"), [[]])
        elif told := _LINE.search(row):
            line = int(told[1])
        elif row.startswith(".L") and parts:
            parts.append([])
        elif (told := _CODE.search(row)) and told[1] != "NOP":
            high = _WORD.search(next_row)
            parts[-1].append(Step(told[1], line, told[2] or "", int(high[1], 16) >> 41 if high else 7 << 5))
            if told[1].split(".")[0] in _ENDS:
                parts.append([])
    return {name: [part for part in parts if part] for name, parts in found.items()}


def time_of(name: str) -> NDArray[np.float64]:
    """Return the cycles of each unit that an instruction takes."""
    first, _, rest = name.partition(".")
    unit = _UNIT.get(first) or ("uniform" if first[0] == "U" else "logic")
    if unit == "special" and first in ("I2F", "F2I", "F2F") and "64" not in rest:
        unit = "logic"
    taken = _nothing()
    taken[0] = 1
    if unit != "issue":
        taken[UNITS.index(unit)] = CYCLES[unit] * (2 if name.startswith(_TWICE) else 1)
    return taken


def time_alone(part: Sequence[Step], place: int) -> float:
    """Return the cycles that a basic block takes a warp by itself, which has come through it just before; `place` is that in `ALONE`.

    Results that another block waits for are waited for here.
    """
    raised = [0.0] * _FLAGS
    now = begin = 0.0
    for turn in range(2):
        begin = now
        for one in part:
            now = max([now, *(raised[flag] for flag in one.needs)])
            if one.raises < _FLAGS:
                raised[one.raises] = now + DELAYS.get(one.name.split(".")[0], (DELAY, DELAY))[place]
            now += one.stall
        if turn:
            left = [raised[one.raises] for one in part if one.raises < _FLAGS and one.raises not in _needed(part)]
            now = max([now, *left])
    return now - begin


def _needed(part: Sequence[Step]) -> set[int]:
    return {flag for one in part for flag in one.needs}


def _weight_of(part: Sequence[Step]) -> NDArray[np.float64]:
    """Return the cycles of each unit, and those of a warp alone, near and far."""
    return np.array([*sum((time_of(one.name) for one in part), _nothing()), *(time_alone(part, place) for place in range(len(ALONE)))])


def weights(text: str, blocks: Sequence[Sequence[Instruction]]) -> NDArray[np.float64]:
    """Return for each basic block of PTX the cycles of `UNITS` and `ALONE` that the machine takes when a warp comes through it."""
    home = {one.line: place for place, block in enumerate(blocks) for one in block}
    called = routines(text)
    parts = max(called.values(), key=lambda parts: sum(one.line in home for part in parts for one in part))
    costs = {name: sum(map(_weight_of, those)) for name, those in called.items() if those is not parts}
    copies = _copies(parts, blocks)
    found = np.zeros((len(blocks), len(UNITS) + len(ALONE)))
    for part in parts:
        if not part[-1].calls.endswith(_SELDOM) and (place := _home_of(part, home)) is not None:
            found[place] += (_weight_of(part) + sum(costs.get(one.calls, 0) for one in part)) / copies[place]
    return found


def _home_of(part: Sequence[Step], home: dict[int, int]) -> int | None:
    """Return the block of PTX that a run of instructions is passed as often as: that of its branch, of its accesses, or of most others.

    What computes is moved to where it is needed, out of loops and behind branches; what jumps, reads or writes is not.
    """
    for kept in (part[-1:] if part[-1].name.startswith("BRA") else (), [one for one in part if one.name.startswith(_PINNED)], part):
        if places := [home[one.line] for one in kept if one.line in home]:
            return Counter(places).most_common(1)[0][0]
    return None


def _nothing() -> NDArray[np.float64]:
    return np.zeros(len(UNITS))


def _copies(parts: Sequence[Sequence[Step]], blocks: Sequence[Sequence[Instruction]]) -> list[float]:
    """Return how often each block of PTX is there in machine code, by those of its instructions that are one there."""
    made = Counter(one.line for part in parts for one in part)
    told = [[made[one.line] for one in block if _single(one)] for block in blocks]
    return [max(1.0, median(seen)) if (seen := [count for count in counts if count]) else 1.0 for counts in told]


def _single(instruction: Instruction) -> bool:
    """Return whether an instruction is one of the machine too, unless it was copied."""
    name, *modifiers = instruction.opcode
    return (name in _ACCESSES and "param" not in modifiers) or (
        name in _SINGLE and modifiers[-1].endswith("32") and "wide" not in modifiers
    )
