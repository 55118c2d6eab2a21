from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backends import BACKENDS, COMPILED
from tamis_kernels import png
from tamis_kernels.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = [(depth, colour) for colour, depths in png.DEPTHS.items() for depth in depths]


def filtered(height: int, width: int, depth: int, colour: int, seed: int) -> NDArray[np.uint8]:
    """Return random bytes as rows, each with one of the filters."""
    rng = np.random.default_rng(seed)
    lines = rng.integers(0, 256, (height, png.row_bytes(width, depth, colour)), np.uint8)
    lines[:, 0] = rng.permutation(np.arange(height) % 5)
    return lines.reshape(-1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("depth", "colour"), KINDS)
@pytest.mark.parametrize("shape", [(11, 13), (6, 1), (1, 9)])
def test_the_picture_is_pillows(shape: tuple[int, int], depth: int, colour: int, backend: Any) -> None:
    rows = filtered(*shape, depth, colour, 3)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", shape[1], shape[0], depth, colour, 0, 0, 0)), (b"IDAT", zlib.compress(rows.tobytes()))]
    if colour == 3:
        chunks.insert(1, (b"PLTE", bytes(range(256)) * 3))
    body = b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in [*chunks, (b"IEND", b"")])
    with Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + body)) as opened:
        whole = np.asarray(opened).astype(np.uint16) >> 8 if depth == 16 and colour == 0 else opened.convert("L")
    found = png.gray(rows, shape, depth=depth, colour=colour, backend=backend)
    assert found.dtype == np.uint8
    if colour == 3:
        whole = np.asarray(opened)
    np.testing.assert_array_equal(found, np.asarray(whole))


@pytest.mark.parametrize("backend", COMPILED)
@given(
    kind=st.sampled_from(KINDS),
    height=st.integers(0, 12),
    width=st.integers(0, 20),
    least=st.integers(0, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_backends_equal_the_reference(kind: tuple[int, int], height: int, width: int, least: int, seed: int, backend: Any) -> None:
    rows = filtered(height, width, *kind, seed)
    if rows.size:
        filters = rows.reshape(height, -1)[:, 0]
        np.maximum(filters, least, out=filters)  # rows that look up follow one another
    found = [png.gray(rows, (height, width), depth=kind[0], colour=kind[1], backend=name) for name in (backend, "reference")]
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_paeth_takes_the_left_of_equals_then_the_upper(backend: Any) -> None:
    # left + up - corner: 10; then 9, as near to the left, 8, as to the corner, 10; then 10, as near to the upper, 9, as to the corner, 11
    rows = np.array([[0, 10, 11, 9], [4, 254, 4, 0]], np.uint8)
    assert png.gray(rows.ravel(), (2, 3), depth=8, colour=0, backend=backend).tolist() == [[10, 11, 9], [8, 12, 9]]


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    colour=st.sampled_from([(8, 2), (16, 2), (8, 6), (16, 6)]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 19)),
    place=st.sampled_from([(0, 0, 1, 1), (4, 0, 8, 8), (1, 0, 2, 2), (0, 1, 1, 2)]),
)
def test_colours_are_added_to_the_cells_that_pixels_lie_in(
    colour: tuple[int, int], size: tuple[int, int], place: tuple[int, int, int, int], backend: Any
) -> None:
    depth, kind = colour
    lines = np.random.default_rng(5).integers(0, 256, (size[0], png.row_bytes(size[1], depth, kind)), np.uint8)
    lines[:, 0] = 0  # no filter, so that bytes are samples
    pixels = lines[:, 1:].reshape(*size, png.CHANNELS[kind], depth // 8)[:, :, :3, 0]
    expected = np.full((6, 20, 3), 7, np.uint32)
    for y, x in np.ndindex(*size):
        expected[(place[1] + y * place[3]) // 8, (place[0] + x * place[2]) // 8] += pixels[y, x]
    sums = np.full((6, 20, 3), 7, np.uint32)
    png.gray(lines.reshape(-1), size, depth=depth, colour=kind, sums=sums, place=place, backend=backend)
    np.testing.assert_array_equal(sums, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_picture_adds_no_colours(backend: Any) -> None:
    sums = np.zeros((0, 0, 3), np.uint32)
    assert png.gray(np.zeros(0, np.uint8), (0, 4), depth=8, colour=2, sums=sums, backend=backend).shape == (0, 4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_strided_rows_are_read(backend: Any) -> None:
    rows = np.repeat(filtered(5, 4, 8, 2, 1), 2)[::2]
    np.testing.assert_array_equal(
        png.gray(rows, (5, 4), depth=8, colour=2, backend=backend), png.gray(rows.copy(), (5, 4), depth=8, colour=2, backend="reference")
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: png.gray(np.zeros(4, np.uint8), (1, 3), depth=16, colour=3), "colour type 3 has no samples of 16 bits"),
        (lambda: png.gray(np.zeros(4, np.uint8), (1, 3), depth=8, colour=5), "colour type 5"),
        (lambda: png.gray(np.zeros(5, np.uint8), (1, 3), depth=8, colour=0), r"shape \(4,\), .* there are 1 rows of 4 bytes"),
        (lambda: png.gray(np.zeros(4, np.int8), (1, 3), depth=8, colour=0), "got int8"),
        (lambda: png.gray(np.zeros(0, np.uint8), (-1, 3), depth=8, colour=0), "must not be negative"),
        (lambda: png.gray(np.zeros(28, np.uint8), (1, 9), depth=8, colour=2, sums=np.zeros((1, 1, 3), np.uint32)), r"shape \(1, 2, 3\)"),
        (lambda: png.gray(np.full(4, 5, np.uint8), (1, 3), depth=8, colour=0), "row 0 begins with 5"),
    ],
)
def test_bad_arguments_say_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
