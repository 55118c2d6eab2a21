"""The JPEG walker: reference and CPU alike on whole and on broken files, and bit for bit with libjpeg where a file is whole."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backends import CUDA, at_most
from images import encoded
from jpegs import FAULTY, ODD, changed, codes, first, in_scans, made, picture, pictures, replaced, scan_start, segment, told
from tamis_kernels import jpeg, threads
from tamis_kernels.jpeg import group, layout

BackendName = Literal["reference", "cpu", "cuda"]
BACKENDS: tuple[BackendName, ...] = ("reference", "cpu")
DEVICES = (*BACKENDS, CUDA)


@pytest.mark.parametrize("backend", DEVICES)
def test_whole_files_are_whole_and_their_picture_is_that_of_libjpeg(backend: BackendName) -> None:
    import simplejpeg

    files = pictures()
    files = files[:: len(files) // at_most(len(files), 9)]
    for data, walk in zip(files, jpeg.walk_many(files, backend=backend), strict=True):
        assert (walk.fault, walk.bad_mcus, walk.junk, walk.zero_pads, walk.mcu) == ("none", 0, 0, 0, -1)
        assert walk.end == len(data)
        if walk.components in (1, 3):
            eighth = simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)[:, :, 0]
            assert walk.luma is not None
            np.testing.assert_array_equal(walk.luma, eighth)
            height, width, *_ = simplejpeg.decode_jpeg_header(data)
            assert (walk.width, walk.height) == (width, height)


@pytest.mark.parametrize("backend", BACKENDS)
def test_chroma_is_that_of_three_components_and_without_colour_where_grey_is_stored_as_colour(backend: BackendName) -> None:
    in_colour = encoded(Image.open(io.BytesIO(picture(40, 33, "L"))).convert("RGB"), "JPEG", subsampling=2)
    files = [picture(40, 33), in_colour, picture(40, 33, "L"), picture(40, 33, "CMYK")]
    coloured, grey, one, four = jpeg.walk_many(files, backend=backend)
    for walk in (coloured, grey):
        assert [plane.shape for plane in walk.planes] == [(5, 5), (3, 3), (3, 3)]
        np.testing.assert_array_equal(walk.chroma, np.concatenate([plane.ravel() for plane in walk.planes[1:]]))
    assert (grey.planes[1] == 128).all()
    assert (grey.planes[2] == 128).all()
    assert (coloured.planes[1] != 128).any()
    assert one.chroma is four.chroma is None


def test_cpu_and_reference_tell_the_same_of_whole_files() -> None:
    files = pictures()
    files = files[:: len(files) // at_most(len(files), 16)]
    for own, defined in zip(jpeg.walk_many(files, backend="cpu"), jpeg.walk_many(files, backend="reference"), strict=True):
        assert told(own) == told(defined)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A whole file with a few bytes changed, flipped, dropped, put in, zeroed or cut off, in its scan or anywhere."""
    data = bytearray(draw(st.sampled_from(pictures())))
    least = draw(st.sampled_from([0, 2, bytes(data).index(b"\xff\xda") + 8]))
    for _ in range(draw(st.integers(1, 3))):
        if least >= len(data):
            break
        place = draw(st.integers(least, len(data) - 1))
        match draw(st.sampled_from(["set", "flip", "drop", "insert", "zero", "marker", "cut"])):
            case "set":
                data[place] = draw(st.integers(0, 255))
            case "flip":
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "drop":
                del data[place : place + draw(st.integers(1, 30))]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=8))
            case "zero":
                size = min(draw(st.integers(1, 64)), len(data) - place)
                data[place : place + size] = bytes(size)
            case "marker":
                data[place:place] = bytes([0xFF, draw(st.sampled_from([0xFF, 0xD0, 0xD3, 0xD8, 0xD9, 0xDA, 0xDD, 0x01, 0xC2, 0xDC]))])
            case _:
                del data[place:]
    return bytes(data)


@given(files=st.lists(st.one_of(broken(), st.binary(max_size=40), st.binary(max_size=60).map(lambda rest: b"\xff\xd8" + rest)), max_size=5))
def test_cpu_and_reference_tell_the_same_of_broken_files(files: list[bytes]) -> None:
    own, defined = (jpeg.walk_many(files, backend=backend) for backend in BACKENDS)
    assert [told(walk) for walk in own] == [told(walk) for walk in defined]


def test_cpu_and_reference_tell_the_same_of_many_broken_files() -> None:
    rng = np.random.default_rng(1)
    files = [changed(rng) for _ in range(at_most(1_000, 300))]
    own, defined = (jpeg.walk_many(files, backend=backend) for backend in BACKENDS)
    assert [told(walk) for walk in own] == [told(walk) for walk in defined]
    assert len({walk.fault for walk in own}) >= 14


@pytest.mark.parametrize("backend", DEVICES)
@pytest.mark.parametrize("name", ODD)
def test_odd_headers_and_ends(name: str, backend: BackendName) -> None:
    fault, change = ODD[name]
    data = change(picture(40, 33, restart=3))
    walk = jpeg.walk(data, backend=backend)
    assert walk.fault == fault
    assert told(walk) == told(jpeg.walk(data, backend="reference"))


@pytest.mark.parametrize("backend", DEVICES)
def test_a_picture_in_scans_of_one_component_each(backend: BackendName) -> None:
    grey = picture(40, 33, "L", restart=4)
    whole, walk = jpeg.walk(grey, backend=backend), jpeg.walk(in_scans(grey, 3), backend=backend)
    assert (walk.fault, walk.mcus) == ("none", 3 * whole.mcus)
    for plane in walk.planes:
        np.testing.assert_array_equal(plane, whole.planes[0])
    missing = jpeg.walk(in_scans(grey, 1), backend=backend)
    assert missing.fault == "missing_component"


@pytest.mark.parametrize("backend", DEVICES)
def test_the_company_of_a_file_changes_nothing(backend: BackendName) -> None:
    files = [*pictures()[:: 105 // at_most(15, 2)], b"", b"\xff\xd8", pictures()[3][:-40]]
    alone = [told(jpeg.walk(data, backend=backend)) for data in files]
    assert [told(walk) for walk in jpeg.walk_many(files, backend=backend)] == alone
    assert [told(walk) for walk in jpeg.walk_many(files[::-1], backend=backend)] == alone[::-1]
    assert jpeg.walk_many([], backend=backend) == []


def test_files_beyond_one_buffer_are_walked_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [*pictures()[::9], pictures()[-1] * 3]
    whole = [told(walk) for walk in jpeg.walk_many(files, backend="cpu")]
    monkeypatch.setattr(group, "GROUP_BYTES", 1_500)
    assert [told(walk) for walk in jpeg.walk_many(files, backend="cpu")] == whole


@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_files_on_their_way_to_a_device_lie_end_to_end(monkeypatch: pytest.MonkeyPatch, kind: type) -> None:
    monkeypatch.setattr(threads, "get_num_threads", lambda: 3)
    monkeypatch.setattr(threads, "LEAST_WORK", 1)
    monkeypatch.setattr(threads, "LEAST_COPY", 4)
    rng = np.random.default_rng(1)
    files = [kind(rng.bytes(size)) for size in (0, 0, 5, 0, 1, 40, 3, 0, 0, 17, 0)]
    offsets, whole = group.ends(files), np.frombuffer(b"".join(files), np.uint8)
    fill = group.filling(files, offsets)
    for piece in (1, 3, 16, whole.size):
        for begin in range(0, whole.size, piece):
            target = np.zeros(min(piece, whole.size - begin), np.uint8)
            fill(begin, begin + target.size, target)
            np.testing.assert_array_equal(target, whole[begin : begin + target.size])


@pytest.mark.parametrize("backend", DEVICES)
@pytest.mark.parametrize("fault", FAULTY)
def test_each_fault_has_its_name(fault: str, backend: BackendName) -> None:
    assert jpeg.walk(FAULTY[fault](picture(40, 33, restart=3)), backend=backend).fault == fault


@pytest.mark.parametrize("backend", DEVICES)
def test_faults_that_need_a_scan_of_their_own(backend: BackendName) -> None:
    """One grey block, coded by hand: DC codes 00 (size 0) and 01 (size 11), AC codes 0 (end of block), 10 (ZRL), 110 (run 0, size 1)."""
    tables = segment(0xC4, b"\x00" + bytes([0, 2]) + bytes(14) + b"\x00\x0b")
    tables += segment(0xC4, b"\x10" + bytes([1, 1, 1]) + bytes(13) + b"\x00\xf0\x01")
    frame = segment(0xC0, b"\x08\x00\x08\x00\x08\x01\x01\x11\x00")
    head = b"\xff\xd8" + segment(0xDB, b"\x00" + b"\x10" * 64) + tables + frame + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")

    def fault(bits: str) -> str:
        bits += "1" * (-len(bits) % 8)
        body = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\x00")
        return jpeg.walk(head + body + b"\xff\xd9", backend=backend).fault

    assert fault("00011111") == "none"
    assert fault("00011011") == "pad_bits"
    assert fault("00000000") == "none"
    assert jpeg.walk(head + b"\x00\xff\xd9", backend=backend).zero_pads == 1
    assert fault("0111111111111011") == "dc_range"
    sixteen_zeros, one, end = "10", "1101", "0"
    assert fault("00" + sixteen_zeros + one * 47) == "none"  # all 63 coefficients, hence no end of the block
    assert fault("00" + sixteen_zeros + one * 46 + end) == "none"
    assert fault("00" + sixteen_zeros * 4 + "111111") == "too_many_coefficients"
    assert fault("00" + one * 3 + "1" * 18) == "bad_code"
    assert fault("00" + one * 3 + "1" * 10) == "missing_data"


@pytest.mark.parametrize("backend", BACKENDS)
def test_damage_is_placed_and_costs_no_more_than_its_restart_interval(backend: BackendName) -> None:
    data = picture(40, 33, restart=3)
    whole = jpeg.walk(data, backend=backend)
    marker = data.index(b"\xff\xd1")
    walk = jpeg.walk(data[: marker - 6] + data[marker:], backend=backend)
    assert (walk.fault, walk.place) == ("missing_data", marker - 6)
    assert 3 <= walk.mcu < 6
    assert walk.bad_mcus == 6 - walk.mcu
    assert walk.mcus == whole.mcus == 9
    assert walk.luma is not None
    assert whole.luma is not None
    assert (walk.luma != whole.luma).any()
    np.testing.assert_array_equal(walk.luma[:2, :6], whole.luma[:2, :6])  # the first interval's MCUs


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_lies_beside_the_picture_is_told_and_is_no_fault(backend: BackendName) -> None:
    data = picture(40, 33)
    walk = jpeg.walk(data[:2] + b"junk\xff\x00more" + data[2:] + b"trailing", backend=backend)
    assert (walk.fault, walk.junk_at, walk.junk, walk.end) == ("none", 2, 10, len(data) + 10)
    filled = jpeg.walk(data[:2] + b"\xff\xff\xff" + data[2:], backend=backend)
    assert (filled.fault, filled.junk) == ("none", 0)


def test_faults_are_numbered_as_they_are_named() -> None:
    assert [getattr(layout, name.upper()) for name in layout.FAULTS] == list(range(len(layout.FAULTS)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("entry", "value"), [(1, 200), (10, 255), (63, 1), (35, 250)])
def test_an_entry_of_a_quantisation_table_far_from_its_neighbours_is_told_with_its_byte(
    backend: BackendName, entry: int, value: int
) -> None:
    data = bytearray(picture(40, 33, "RGB", 40))
    place = data.index(b"\xff\xdb") + 5 + entry
    data[place] = value
    walk = jpeg.walk(bytes(data), backend=backend)
    assert (walk.fault, walk.place, walk.mcu) == ("odd_quantisation_table", place, -1)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("value", "odd"), [(40, False), (41, True), (4, False), (3, True)])
def test_an_entry_is_odd_beyond_twice_its_neighbours_and_eight(value: int, odd: bool, backend: BackendName) -> None:
    table = bytearray(b"\x03" + b"\x10" * 64)
    table[20] = value
    walk = jpeg.walk(first(picture(40, 33), segment(0xDB, bytes(table))), backend=backend)
    assert (walk.fault == "odd_quantisation_table") == odd


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_block_takes_two_bits_or_more(backend: BackendName) -> None:
    grey = picture(40, 33, "L")
    most = 4 * len(grey)
    for blocks in (most, most + 1):
        data = replaced(grey, (33).to_bytes(2) + (40).to_bytes(2), (8).to_bytes(2) + (8 * blocks).to_bytes(2))
        assert (jpeg.walk(data, backend=backend).fault == "too_few_bytes") == (blocks > most)


@pytest.mark.parametrize("backend", DEVICES)
def test_one_whole_byte_behind_the_last_block_is_left_over(backend: BackendName) -> None:
    data = made("00", 4, codes(("0", 0), ("10", 1)), codes(("0", 0), ("10", 1)))
    files = [data, data[:-2] + b"\x55" + data[-2:]]
    assert [walk.fault for walk in jpeg.walk_many(files, backend=backend)] == ["none", "leftover_data"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("marker", [0x02, 0x36, 0xBF, 0xF0, 0xFD])
def test_a_reserved_marker_in_the_header_is_unexpected(backend: BackendName, marker: int) -> None:
    data = bytearray(picture(8, 8))
    data[3] = marker
    walk = jpeg.walk(bytes(data), backend=backend)
    assert (walk.fault, walk.place) == ("unexpected_marker", 2)


@pytest.mark.parametrize("backend", ["cpu", CUDA])
def test_a_code_that_is_none_amid_a_scan_is_noticed_there(backend: BackendName) -> None:
    whole = picture(40, 33, "RGB", 100)
    start = scan_start(whole)
    files = []
    for place in range(start + 40, start + 400, 60):
        data = bytearray(whole)
        data[place : place + 4] = b"\xfe\xff\x00\xfe"  # ones, which no code is made of
        files.append(bytes(data))
    found, expected = (jpeg.walk_many(files, backend=name) for name in (backend, "reference"))
    assert [told(walk) for walk in found] == [told(walk) for walk in expected]
    assert "bad_code" in {walk.fault for walk in found}


@pytest.mark.parametrize("backend", ["cpu", CUDA])
def test_files_whose_tables_differ_by_symbols_alone_keep_apart(backend: BackendName) -> None:
    plain = picture(40, 33, "L")
    other = bytearray(plain)
    at = plain.index(b"\xff\xc4") + 4 + 17  # the symbols of the first table, of DC
    other[at + 3], other[at + 4] = other[at + 4], other[at + 3]
    files = [plain, bytes(other), plain]
    found, expected = (jpeg.walk_many(files, backend=name) for name in (backend, "reference"))
    assert [told(walk) for walk in found] == [told(walk) for walk in expected]
    assert told(found[0]) == told(found[2]) != told(found[1])
