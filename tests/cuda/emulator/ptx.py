"""Reads a kernel in PTX as NVVM writes it: one entry, all functions inlined, every instruction on a line.

PTX ISA 9.0, docs.nvidia.com/cuda/parallel-thread-execution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, or a label where `opcode` is empty.

    Attributes
    ----------
    opcode
        With its modifiers, split at the dots.
    operands
        As they are written.
    guard
        The predicate that lets it run, with `!` before it where it must be false; empty where it always runs.
    label
        What can be jumped to here.
    line
        Where it stands in the text, from 1 on.
    """

    opcode: tuple[str, ...]
    operands: tuple[str, ...] = ()
    guard: str = ""
    label: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{'.'.join(self.opcode)} {', '.join(self.operands)}"


@dataclass(slots=True)
class Kernel:
    """A kernel.

    Attributes
    ----------
    parameters
        Name and size in bytes of each, in order.
    registers
        Class prefix, as `%rd`, or name of a register that has a scope of its own, and bits: 1 of a predicate.
    shared
        Name and offset of each array in shared memory; `shared_size` is where what the launch asks for begins.
    constants
        Name and bytes of each array in constant memory.
    body
        Its instructions.
    """

    parameters: list[tuple[str, int]] = field(default_factory=list)
    registers: dict[str, int] = field(default_factory=dict)
    shared: dict[str, int] = field(default_factory=dict)
    shared_size: int = 0
    constants: dict[str, bytes] = field(default_factory=dict)
    body: list[Instruction] = field(default_factory=list)


_ARRAY = re.compile(r"\.(shared|const)\s+\.align (\d+) \.b8 ([\w$]+)\[(\d*)\](?:\s*=\s*\{([^}]*)\})?")
_PARAMETER = re.compile(r"\.param \.[a-z](\d+) ([\w$]+)")
_REGISTERS = re.compile(r"\.reg \.[a-z]+(\d*)\s+(%[a-z]+)<\d+>")
_REGISTER = re.compile(r"\.reg \.[a-z]+(\d*)\s+(%[a-z]+\d*)\s*;")
_OPERANDS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+")


def read(text: str) -> Kernel:
    """Return the kernel of a module."""
    kernel = Kernel()
    head, _, body = text.partition("\n{\n")
    extern = []
    for space, align, name, size, values in _ARRAY.findall(head):
        if space == "const":
            start = bytes(int(one) for one in values.split(",")) if values else b""
            kernel.constants[name] = start.ljust(int(size), b"\0")  # zeros at the end are not written
        elif size:
            kernel.shared[name] = -(-kernel.shared_size // int(align)) * int(align)
            kernel.shared_size = kernel.shared[name] + int(size)
        else:
            extern.append(name)
    kernel.shared_size = -(-kernel.shared_size // 16) * 16
    kernel.shared |= dict.fromkeys(extern, kernel.shared_size)
    kernel.parameters = [(name, int(bits) // 8) for bits, name in _PARAMETER.findall(head)]
    inner: dict[str, str] = {}  # registers of a scope in braces, which may hide others of the same name
    for number, line in enumerate(body.splitlines(), head.count("\n") + 3):
        told = line.split("//")[0].strip()
        if told == "{":
            inner.clear()
        elif found := _REGISTER.match(told):
            bits, name = found.groups()
            inner[name] = f"{name}.{number}"
            kernel.registers[inner[name]] = int(bits or 1)
        elif told == "}":
            inner.clear()
        else:
            _read_line(kernel, re.sub(r"%[a-z]+\d*\b(?!\.)", lambda found: inner.get(found[0], found[0]), told), number)
    return kernel


def prefix_of(register: str) -> str:
    """Return the class of a register: its name without a number."""
    return re.match(r"%[a-z]+", register)[0]  # type: ignore[index]  # all registers begin like this


def _read_line(kernel: Kernel, line: str, number: int) -> None:
    if found := _REGISTERS.match(line):
        bits, prefix = found.groups()
        kernel.registers[prefix] = int(bits or 1)
    elif found := re.match(r"([$\w]+):$", line):
        kernel.body.append(Instruction((), label=found[1]))
    elif found := re.match(r"(?:@(!?%p\d+)\s+)?([a-z][\w.:]*)\s*(.*);$", line):
        guard, opcode, rest = found.groups()
        kernel.body.append(Instruction(tuple(opcode.split(".")), tuple(_OPERANDS.findall(rest)), guard or "", line=number))
    elif line and not line.startswith((".loc\t", ".loc ", ".file", ".pragma")):
        message = f"this line of PTX is not understood: {line}"
        raise NotImplementedError(message)
