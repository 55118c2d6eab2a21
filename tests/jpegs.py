"""JPEG files for the tests of the walk: whole ones of every kind that it knows, broken ones of every fault, and hand-made ones."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from images import encoded
from tamis_kernels import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = [(1, 1), (8, 8), (9, 17), (40, 33)]


@cache
def picture(
    width: int, height: int, mode: str = "RGB", quality: int = 75, subsampling: int = 2, restart: int = 0, optimize: int = 0
) -> bytes:
    rng = np.random.default_rng([width, height, quality])
    y, x = np.mgrid[0:height, 0:width]
    levels = 128 + 60 * np.sin(x / 7)[..., None] + y[..., None] + rng.normal(0, 20, (height, width, 4))
    image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8), "CMYK").convert(mode)
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    return encoded(image, "JPEG", quality=quality, optimize=bool(optimize), restart_marker_blocks=restart, **options)


@cache
def pictures() -> tuple[bytes, ...]:
    """Return whole files of every kind that Pillow writes and the walk knows."""
    found = []
    for width, height in SIZES:
        for quality in (5, 75, 100):
            for restart in (0, 3):
                for optimize in (0, 1):
                    found += [
                        picture(width, height, "L", quality, 0, restart, optimize),
                        picture(width, height, "CMYK", quality, 0, restart, optimize),
                    ]
                    found += [picture(width, height, "RGB", quality, sub, restart, optimize) for sub in (0, 1, 2)]
    return tuple(found)


def told(walk: jpeg.Walk) -> list[object]:
    """Return all that a walk tells, to be compared."""
    fields = [name for name in jpeg.Walk._fields if name != "values"]
    return [*((name, getattr(walk, name)) for name in fields), [plane.tolist() for plane in walk.planes]]


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2) + body


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def scan_start(data: bytes) -> int:
    return jpeg.walk(data, backend="reference").scan


def in_scans(grey: bytes, count: int) -> bytes:
    """Return a picture of three components, of which the first ones come in scans of one each: a grey one's."""
    at, start = grey.index(b"\xff\xc0"), scan_start(grey)
    extent = grey[at + 5 : at + 9]
    frame = segment(0xC0, b"\x08" + extent + b"\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00")
    scans = b"".join(segment(0xDA, bytes([1, number, 0, 0, 63, 0])) + grey[start:-2] for number in range(1, count + 1))
    return grey[:at] + frame + grey[at + 13 : start - 10] + scans + b"\xff\xd9"


def changed(rng: np.random.Generator) -> bytes:
    """Return a whole file with a few bytes changed, flipped, dropped, put in or cut off, in its scan or anywhere."""
    data = bytearray(pictures()[int(rng.integers(len(pictures())))])
    least = 2 if rng.random() < 0.4 else bytes(data).index(b"\xff\xda") + 8
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(min(least, len(data) - 1), len(data)))
        match int(rng.integers(5)):
            case 0:
                data[place] = int(rng.integers(256))
            case 1:
                data[place] ^= 1 << int(rng.integers(8))
            case 2:
                del data[place : place + int(rng.integers(1, 30))]
            case 3:
                data[place:place] = rng.bytes(int(rng.integers(1, 9)))
            case _:
                del data[max(place, 9) :]
    return bytes(data)


def at_scan(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    start = scan_start(data)
    return data[:start] + change(data[start:])


def first(data: bytes, segments: bytes) -> bytes:
    return data[:2] + segments + data[2:]


ODD: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a lone 0xFF ends the file": ("truncated", lambda data: data[:-1]),
    "0xFF ends the header": ("truncated", lambda _: b"\xff\xd8\xff"),
    "a marker ends the file": ("truncated", lambda _: b"\xff\xd8\xff\xe0"),
    "TEM and RST in the header": ("none", lambda data: first(data, b"\xff\x01\xff\xd3")),
    "fill bytes in the scan": ("none", lambda data: at_scan(data, lambda scan: scan[:-2] + b"\xff\xff" + scan[-2:])),
    "fill bytes before data left over": ("leftover_data", lambda data: data[:-2] + b"\xff\xff\x00\x55\x55" + data[-2:]),
    "a restart marker too many": ("unexpected_marker", lambda data: data[:-2] + b"\xff\xd3" + data[-2:]),
    "a short restart interval": ("bad_segment", lambda data: first(data, segment(0xDD, b"\x01"))),
    "quantisers of 16 bits": ("none", lambda data: first(data, segment(0xDB, b"\x13" + b"\x01\x02" * 64))),
    "a zero quantiser of 16 bits": ("bad_quantisation_table", lambda data: first(data, segment(0xDB, b"\x13" + b"\x00\x00" * 64))),
    "quantisers number 5": ("bad_quantisation_table", lambda data: first(data, segment(0xDB, b"\x05" + b"\x01" * 64))),
    "codes of class 2": ("bad_huffman_table", lambda data: first(data, segment(0xC4, b"\x20" + bytes(16)))),
    "too many codes": ("bad_huffman_table", lambda data: first(data, segment(0xC4, b"\x00" + b"\xff" * 16 + bytes(9)))),
    "no codes at all": ("none", lambda data: first(data, segment(0xC4, b"\x13" + bytes(16)))),
    "twelve bits": ("unsupported", lambda data: replaced(data, b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c")),
    "a short frame": ("bad_frame", lambda data: first(data, segment(0xC0, b"\x08"))),
    "two frames": ("bad_frame", lambda data: at_scan(data, lambda scan: scan[:-2] + segment(0xC0, bytes(15)) + scan[-2:])),
    "five components": ("bad_frame", lambda data: first(data, segment(0xC0, b"\x08\x00\x08\x00\x08\x05" + bytes(15)))),
    "a component twice": ("bad_frame", lambda data: first(data, segment(0xC0, b"\x08\x00\x08\x00\x08\x02" + b"\x01\x11\x00" * 2))),
    "no sampling": ("bad_frame", lambda data: first(data, segment(0xC0, b"\x08\x00\x08\x00\x08\x01\x01\x01\x00"))),
    "a scan before the frame": ("bad_scan", lambda data: first(data, segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"))),
    "a scan of another component": ("bad_scan", lambda data: replaced(data, b"\x03\x01\x00\x02\x11", b"\x03\x07\x00\x02\x11")),
    "a scan of one component twice": ("bad_scan", lambda data: replaced(data, b"\x03\x01\x00\x02\x11", b"\x03\x01\x00\x01\x11")),
    "a scan of unknown codes": ("bad_scan", lambda data: replaced(data, b"\x03\x01\x00\x02\x11", b"\x03\x01\x20\x02\x11")),
    "a scan of an unknown table": ("bad_scan", lambda data: replaced(data, b"\x01\x22\x00\x02\x11", b"\x01\x22\x03\x02\x11")),
    "more than ten blocks": ("bad_scan", lambda data: replaced(data, b"\x01\x22\x00\x02\x11", b"\x01\x44\x00\x02\x11")),
    "another scan of all": ("bad_scan", lambda data: at_scan(data, lambda scan: scan[:-2] + data[scan_start(data) - 14 : -2] + scan[-2:])),
    "nothing but zeros": ("missing_data", lambda data: at_scan(data, lambda scan: bytes(9) + scan[-2:])),
}


FAULTY: dict[str, Callable[[bytes], bytes]] = {
    "not_jpeg": lambda data: b"\x89PNG" + data,
    "truncated": lambda data: data[:-1],
    "bad_segment": lambda data: data[:2] + b"\xff\xe5\x00\x01" + data[2:],
    "bad_quantisation_table": lambda data: data[:2] + segment(0xDB, b"\x00" + bytes(64)) + data[2:],
    "bad_huffman_table": lambda data: data[:2] + segment(0xC4, b"\x00\x03" + bytes(15) + b"abc") + data[2:],
    "bad_frame": lambda data: replaced(data, b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x09"),
    "bad_scan": lambda data: data[: scan_start(data) - 2] + b"\x3e" + data[scan_start(data) - 1 :],
    "leftover_data": lambda data: data[:-2] + b"\x55\x55" + data[-2:],
    "missing_data": lambda data: data[: scan_start(data) + 60] + data[-2:],
    "restart_order": lambda data: replaced(data, b"\xff\xd1", b"\xff\xd5"),
    "unexpected_marker": lambda data: data[:2] + data,
    "missing_component": lambda data: data[:2] + b"\xff\xd9",
    "too_few_bytes": lambda data: replaced(data, (33).to_bytes(2) + (40).to_bytes(2), b"\xff\xff\xff\xff"),
    "unsupported": lambda data: replaced(data, b"\xff\xc0\x00\x11\x08", b"\xff\xc2\x00\x11\x08"),
}


AC = {0x00: "0", 0x01: "10", 0xE2: "110", 0x02: "111000000000"}  # the last one is longer than the lookup sees


def drawn(columns: int, rows: int, shift_at: int = -1, shift: int = 0, down: int = 1, step: int = 0) -> bytes:
    """Encode a gradient with some noise in blocks of few coefficients; from one MCU on the level is off by `shift`.

    With restart markers each `step` MCUs, the level is off to the end of their interval.
    """
    bits: list[str] = []
    last, data, total = 0, b"", columns * rows
    stop = min(total, (shift_at // step + 1) * step) if step else total
    for mcu in range(total):
        if step and mcu and mcu % step == 0:
            data += packed(bits) + bytes([0xFF, 0xD0 + (mcu // step - 1) % 8])
            bits, last = [], 0
        for block in range(down):
            y, x = divmod(mcu, columns)
            level = (
                x + 2 * (y * down + block) - columns + (7919 * (2 * mcu + block)) % 11 - 5 + (shift if 0 <= shift_at <= mcu < stop else 0)
            )
            difference, last = level - last, level
            size = abs(difference).bit_length()
            bits.append("111000000000" if size == 1 else f"{size:04b}")  # sizes 0 and 2 to 11, and 1 by a long code
            bits.append(f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}" if size else "")
            if mcu % 3 == 0:
                bits += [AC[0x01], "1", AC[0x02], "01", AC[0x02], "10"]
            if mcu % 4 == 0:
                bits += [AC[0xE2], "11"]
            bits.append(AC[0x00])
        if down > 1:
            bits += ["0000", AC[0x00]] * 2
    data += packed(bits)
    dc = bytes([0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]) + bytes([0, 12, *range(2, 12), 13, 14]) + bytes([1])
    ac = bytes([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]) + bytes(AC)
    parts = bytes([1, 1, 0x10 + down, 0]) if down == 1 else bytes([3, 1, 0x10 + down, 0, 2, 0x11, 0, 3, 0x11, 0])
    chosen = bytes([1, 1, 0]) if down == 1 else bytes([3, 1, 0, 2, 0, 3, 0])
    extent = (8 * down * rows).to_bytes(2) + (8 * columns).to_bytes(2)
    head = segment(0xDB, bytes(1) + bytes([8] * 64)) + segment(0xC0, bytes([8]) + extent + parts)
    head += segment(0xC4, b"\0" + dc + b"\x10" + ac) + (segment(0xDD, step.to_bytes(2)) if step else b"")
    return b"\xff\xd8" + head + segment(0xDA, chosen + bytes([0, 63, 0])) + data + b"\xff\xd9"


def packed(bits: list[str]) -> bytes:
    """Return bits as a restart interval's bytes."""
    stream = "".join(bits)
    stream += "1" * (-len(stream) % 8)
    return int(stream, 2).to_bytes(len(stream) // 8).replace(b"\xff", b"\xff\x00")


def made(bits: str, blocks: int, dc: bytes, ac: bytes, parts: int = 1) -> bytes:
    """Return a file of so many blocks in a row, all of the same bits; components have tables of their own where there are several."""
    tables = b"".join(segment(0xC4, bytes([number]) + dc) + segment(0xC4, bytes([0x10 + number]) + ac) for number in range(parts))
    frame = b"\x08\x00\x08" + (8 * blocks // parts).to_bytes(2) + bytes([parts]) + b"".join(bytes([n, 0x11, 0]) for n in range(parts))
    scan = bytes([parts]) + b"".join(bytes([n, 0x11 * n]) for n in range(parts)) + b"\x00\x3f\x00"
    head = b"\xff\xd8" + segment(0xDB, b"\x00" + b"\x10" * 64) + tables + segment(0xC0, frame) + segment(0xDA, scan)
    return head + packed([bits] * (blocks // parts)) + b"\xff\xd9"


def codes(*symbols: tuple[str, int]) -> bytes:
    """Return a table of canonical codes, which are given in their order."""
    lengths = [len(code) for code, _ in symbols]
    return bytes([lengths.count(length) for length in range(1, 17)]) + bytes(symbol for _, symbol in symbols)
