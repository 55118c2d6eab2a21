"""Which registers hold something at a barrier that is read behind it: no others have to outlast a wait.

What a thread keeps over its waits costs a phi a register and place for LLVM, and most registers of a kernel are read near where they are
written: without this a kernel of nine barriers took three times as long to translate.
"""

from __future__ import annotations

import re

_SLOT = re.compile(r"(load|store) .*ptr (%\S+)$")
_TARGET = re.compile(r"label %([^\s,]+)")


def live(lines: list[str], slots: set[str], starts: dict[str, str]) -> set[str]:
    """Return the slots that are read before they are written, from one of some places on.

    Parameters
    ----------
    lines
        The body of a function in LLVM's language.
    slots
        Names of the slots of registers.
    starts
        The places: labels that are reached from elsewhere, by the labels of blocks that go there by a way which `lines` does not show.
    """
    bits = {name: 1 << place for place, name in enumerate(slots)}
    read: dict[str, int] = {}
    written: dict[str, int] = {}
    targets: dict[str, set[str]] = {}
    block = ""
    for line in lines:
        if line.endswith(":"):
            block = line[:-1]
            read[block] = written[block] = 0
            targets[block] = {starts[block]} if block in starts else set()
        elif (found := _SLOT.search(line)) and (bit := bits.get(found[2])):
            if found[1] == "store":
                written[block] |= bit
            elif not written[block] & bit:
                read[block] |= bit
        elif line.startswith("  br "):
            targets[block].update(_TARGET.findall(line))
    wanted = dict(read)
    changed = True
    while changed:
        changed = False
        for block in reversed(read):
            after = 0
            for target in targets[block]:
                after |= wanted.get(target, 0)
            before = read[block] | after & ~written[block]
            changed |= before != wanted[block]
            wanted[block] = before
    at = 0
    for start in starts.values():
        at |= wanted[start]
    return {name for name, bit in bits.items() if at & bit}
