"""XXH3 of 128 bits: the bits of the xxHash library, for every length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from backends import BACKENDS, arrow
from tamis_kernels import ArgumentError
from tamis_kernels.xxh3 import hash128

if TYPE_CHECKING:
    from tamis_kernels.backend import BackendName

LENGTHS = [*range(260), 319, 320, 321, 1023, 1024, 1025, 1087, 1088, 1089, 2047, 2048, 2049, 2112]
"""Both sides of every place where the way of hashing changes: 3, 8, 16, 32, 64, 96, 128, 160 … bytes, whole stripes, whole blocks."""


def hashed(records: list[bytes], backend: BackendName) -> list[int]:
    return [upper << 64 | lower for upper, lower in hash128(*arrow(records), backend=backend).tolist()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_length_gives_the_bits_of_the_library(backend: BackendName) -> None:
    generator = np.random.default_rng(0)
    records = [generator.bytes(length) for length in LENGTHS]
    records += [bytes(length) for length in LENGTHS[::7]] + [b"\xff" * length for length in LENGTHS[::7]]
    assert hashed(records, backend) == [xxhash.xxh3_128_intdigest(record) for record in records]


@pytest.mark.parametrize("backend", BACKENDS)
def test_records_of_all_lengths_lie_side_by_side(backend: BackendName) -> None:
    generator = np.random.default_rng(1)
    records = [generator.bytes(length) for length in generator.permutation([*LENGTHS[::4], 0, 240, 241, *[16] * 37, *[24, 25] * 17])]
    for some in (records, [bytes(300), b"one short one", bytes(241)]):
        assert hashed(some, backend) == [xxhash.xxh3_128_intdigest(record) for record in some]


@pytest.mark.parametrize("backend", BACKENDS)
@given(records=st.lists(st.binary(max_size=300), max_size=6))
def test_any_records_give_the_bits_of_the_library(backend: BackendName, records: list[bytes]) -> None:
    assert hashed(records, backend) == [xxhash.xxh3_128_intdigest(record) for record in records]


@pytest.mark.slow
def test_many_records_are_hashed_by_several_threads() -> None:
    data = np.random.default_rng(1).integers(0, 256, 1 << 20, dtype=np.uint8)
    offsets = np.arange(0, data.size + 1, 32)
    wanted = [xxhash.xxh3_128_digest(record.tobytes()) for record in data.reshape(-1, 32)]
    assert hash128(data, offsets).astype(">u8").tobytes() == b"".join(wanted)


def test_arguments_are_checked() -> None:
    with pytest.raises(ArgumentError, match="offsets"):
        hash128(np.zeros(3, np.uint8), np.array([0, 4]))
