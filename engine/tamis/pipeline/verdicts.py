"""The verdicts of judge, as all later stages read them: a bit a record, whether it stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tamis.files import whole

if TYPE_CHECKING:
    from pathlib import Path

    from tamis.pipeline.plan import Shard
    from tamis_kernels.types import Bools


def write_alive(state: Path, alive: Bools) -> None:
    """Write which records of all shards stay."""
    with whole(_path(state)) as temporary:
        temporary.write_bytes(np.packbits(alive).tobytes())


def read_alive(state: Path, shard: Shard) -> Bools:
    """Return which records of a shard stay."""
    first_byte, last_byte = shard.first // 8, -(-(shard.first + shard.records) // 8)
    packed = np.fromfile(_path(state), np.uint8, last_byte - first_byte, offset=first_byte)
    return np.unpackbits(packed)[shard.first - 8 * first_byte :][: shard.records].astype(bool)


def _path(state: Path) -> Path:
    return state / "judged" / "alive.bin"
