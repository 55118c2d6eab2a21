"""Read a JSON array of objects, as many programs keep a table, as lines of JSON: an element a line, whatever its layout is.

Nothing is parsed here. Commas between elements become ends of lines, and ends of lines within an element spaces, which mean the same in
JSON. What is wrong stays in the line of its element, where the reader of lines tells of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tamis_kernels.compiled import njit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COMPILED_BYTES = 64 << 10  # less than this is passed sooner than the compiled function is loaded
DEPTH, QUOTED, ESCAPED = range(3)


def array_lines(blocks: Iterable[tuple[bytes, bool]]) -> Iterator[tuple[bytes, bool]]:
    """Yield the text of an array, in blocks as `text.blocks` gives them, with each element on a line of its own."""
    state = np.zeros(3, np.int64)
    for block, last in blocks:
        data = np.frombuffer(block, np.uint8).copy()
        pass_part = _part if len(data) >= COMPILED_BYTES else getattr(_part, "py_func", _part)  # it is none where kernels are interpreted
        pass_part(data, state)
        yield data.tobytes(), last


@njit(cache=True, nogil=True)
def _part(data: npt.NDArray[np.uint8], state: npt.NDArray[np.int64]) -> None:
    """Change the separators in the next bytes of an array; `state` is what holds behind the bytes before."""
    depth, quoted, escaped = state[DEPTH], state[QUOTED], state[ESCAPED]
    for place in range(len(data)):
        byte = data[place]
        if quoted:
            if escaped:
                escaped = 0
            elif byte == 0x5C:  # a backslash
                escaped = 1
            elif byte == 0x22:  # "
                quoted = 0
        elif byte == 0x22:
            quoted = 1
        elif byte == 0x5B or byte == 0x7B:  # [ {
            depth += 1
            if depth == 1:
                data[place] = 0x20
        elif byte == 0x5D or byte == 0x7D:  # ] }
            depth -= 1
            if depth == 0:
                data[place] = 0x0A
        elif byte == 0x2C and depth == 1:  # ,
            data[place] = 0x0A
        elif byte == 0x0A or byte == 0x0D:
            data[place] = 0x20
    state[DEPTH], state[QUOTED], state[ESCAPED] = depth, quoted, escaped
