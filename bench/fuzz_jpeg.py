"""Fuzz the walk: `python bench/fuzz_jpeg.py --seconds 60 [--photos DIR] [--seed 1]`.

Whole files are broken at random, several ways at once, and walked in groups. `NUMBA_BOUNDSCHECK=1` makes the kernels check every index;
`NUMBA_CACHE_DIR` must then be an empty folder, for compiled code is cached without the checks. The first exception ends it, and so does a
walk whose facts cannot be, or a file that is told differently alone and in a group.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from tamis_kernels import jpeg

GROUP = 200


def seeds(folder: Path | None) -> list[bytes]:
    found = [path.read_bytes() for path in sorted(folder.iterdir())[:100]] if folder else []
    rng = np.random.default_rng(0)
    for mode in ("L", "RGB", "CMYK"):
        for side in (8, 33, 120):
            for restart in (0, 3):
                for quality in (10, 75, 98):
                    target = io.BytesIO()
                    levels = np.cumsum(rng.normal(0, 6, (side, side, 4)), axis=1) + 128
                    image = Image.fromarray(levels.clip(0, 255).astype(np.uint8), "CMYK").convert(mode)
                    image.save(target, "JPEG", quality=quality, restart_marker_blocks=restart, optimize=bool(quality % 2))
                    found.append(target.getvalue())
    return found


def broken(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(changed))) if rng.random() < 0.6 else int(rng.integers(min(700, len(changed))))
        size = int(rng.integers(1, 40))
        match int(rng.integers(6)):
            case 0:
                changed[place] ^= 1 << int(rng.integers(8))
            case 1:
                changed[place] = int(rng.integers(256))
            case 2:
                del changed[place : place + size]
            case 3:
                changed[place:place] = other[place : place + size]
            case 4:
                changed[place : place + 2] = bytes([0xFF, int(rng.choice([0xC0, 0xC4, 0xD0, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xFF]))])
            case _:
                changed[place : place + size] = bytes(len(changed[place : place + size]))
        if not changed:
            break
    return bytes(changed)


def possible(walk: jpeg.Walk, data: bytes) -> bool:
    return 0 <= walk.place <= len(data) and 0 <= walk.bad_mcus <= walk.mcus and walk.end <= len(data) and walk.mcu <= walk.mcus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, files, faults, count = np.random.default_rng(arguments.seed), seeds(arguments.photos), Counter[str](), 0
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        pairs = rng.integers(len(files), size=(GROUP, 2)).tolist()
        group = [broken(files[one], files[other], rng) for one, other in pairs]
        walks = jpeg.walk_many(group, backend="cpu")
        alone = jpeg.walk(group[0], backend="cpu")
        for data, walk in zip(group, walks, strict=True):
            if not possible(walk, data):
                Path("fuzz_jpeg_case.jpg").write_bytes(data)
                sys.exit(f"a walk that cannot be, of fuzz_jpeg_case.jpg: {walk}")
        if (alone.fault, alone.place, alone.mcu, alone.bad_mcus) != (walks[0].fault, walks[0].place, walks[0].mcu, walks[0].bad_mcus):
            Path("fuzz_jpeg_case.jpg").write_bytes(group[0])
            sys.exit("fuzz_jpeg_case.jpg alone and in a group are told differently")
        faults.update(walk.fault for walk in walks)
        count += GROUP
    print(f"{count} broken files walked, none raised, none impossible: {dict(faults.most_common())}")


if __name__ == "__main__":
    main()
