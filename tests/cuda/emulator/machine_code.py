"""What NVIDIA's assembler makes of a kernel: instructions for sm_90, and the time that each takes of the units of a multiprocessor.

nvJitLink makes machine code of PTX, as on a GPU, and notes the line of PTX behind each instruction; `nvdisasm` prints both. How often the
machine comes through a run of its instructions is not known here, but how often threads come through a basic block of PTX is. So a run
counts for the block that most of its instructions are of; where the assembler has unrolled a loop, its copies share the visits.
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
_LINE = re.compile(r'//## File "\.nv_debug_ptx_txt[^"]*", line (\d+)')
_CODE = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)(?: `\(([\w$]+)\))?")
_SELDOM = ("_full", "_slowpath")  # quotients of floats that are subnormal or overflow
_ACCESSES, _SINGLE = {"ld", "st", "atom", "red", "bar"}, {"popc", "mad", "mul"}


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of the machine: its name, the line of PTX that it was made of, and the routine that it calls."""

    name: str
    line: int
    calls: str = ""


def disassembler() -> str:
    """Return the path of `nvdisasm`, which is a part of CUDA's toolkit and of the package `triton`."""
    package = util.find_spec("triton")
    folders = package.submodule_search_locations if package else None
    for path in (None, *(f"{folder}/backends/nvidia/bin" for folder in folders or ())):
        if found := shutil.which("nvdisasm", path=path):
            return found
    message = "nvdisasm was not found: put that of CUDA's toolkit on the PATH, or install the one in triton: pip install --no-deps triton"
    raise FileNotFoundError(message)


def listing(ptx: str) -> str:
    """Return the machine code of a kernel, as `nvdisasm` prints it."""
    from cuda.bindings import nvjitlink

    linker = nvjitlink.create(2, ["-arch=sm_90", "-lineinfo"])
    nvjitlink.add_data(linker, nvjitlink.InputType.PTX, ptx.encode(), len(ptx), "kernel.ptx")
    nvjitlink.complete(linker)
    image = bytearray(nvjitlink.get_linked_cubin_size(linker))
    nvjitlink.get_linked_cubin(linker, image)
    nvjitlink.destroy(linker)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(image)
        return subprocess.run([disassembler(), "-gp", "-c", str(path)], capture_output=True, text=True, check=True).stdout


def routines(text: str) -> dict[str, list[list[Step]]]:
    """Return the basic blocks of each routine: the kernel, and what it calls, such as a division of 64 bits. What pads them is left out."""
    found: dict[str, list[list[Step]]] = {}
    parts: list[list[Step]] = []
    line = 0
    for row in text.splitlines():
        if row.startswith(".text."):
            parts = found.setdefault(row[len(".text.") :].rstrip(":"), [[]])
        elif told := _LINE.search(row):
            line = int(told[1])
        elif row.startswith(".L") and parts:
            parts.append([])
        elif (told := _CODE.search(row)) and told[1] != "NOP":
            parts[-1].append(Step(told[1], line, told[2] or ""))
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


def weights(text: str, blocks: Sequence[Sequence[Instruction]]) -> NDArray[np.float64]:
    """Return for each basic block of PTX the cycles of each unit that the machine takes when a warp comes through it."""
    home = {one.line: place for place, block in enumerate(blocks) for one in block}
    called = routines(text)
    parts = max(called.values(), key=lambda parts: sum(one.line in home for part in parts for one in part))
    costs = {name: sum((time_of(one.name) for part in those for one in part), _nothing()) for name, those in called.items()}
    copies = _copies(parts, blocks)
    found = np.zeros((len(blocks), len(UNITS)))
    for part in parts:
        if not part[-1].calls.endswith(_SELDOM) and (place := _home_of(part, home)) is not None:
            found[place] += sum((time_of(one.name) + costs.get(one.calls, 0) for one in part), _nothing()) / copies[place]
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
