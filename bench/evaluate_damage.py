"""Damage to JPEG photos found by kind, also of kinds that no limit was fitted to, and false alarms on whole pictures, beside peers.

`python bench/evaluate_damage.py --photos DIR [--seed 1] [--count 300] [--restart-rows N | --restart-blocks N] [--alone]`; the verdict on
every file goes to bench/results/damage-SEED.csv. With restart markers each N rows of MCUs, or N MCUs, the photos are encoded anew with the
tables that they have. cv2, pyvips and jpeginfo are used where they are installed, no peer at all with `--alone`. `--crops N` looks at
N whole crops in their place, enlarged and encoded anew, whose edges are soft.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import simplejpeg
from evaluate_common import HELD_BACK, share
from harness import jpeg_files
from PIL import Image, ImageDraw

from damage import HELD_OUT, KINDS, WHOLE, damaged, effect, photo, pillow_loads, pixels, silenced
from images import encoded
from tamis.media import inspect

Judge = Callable[[bytes], bool]
Restarts = dict[str, int]


def ours(data: bytes) -> bool:
    return inspect(data, name="a.jpg", want_picture=False).grade in HELD_BACK


def pillow_verify(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()
    except Exception:  # whatever it raises is a refusal
        return True
    return False


def strict(data: bytes) -> bool:
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1, min_factor=8, strict=True)
    except ValueError:
        return True
    return False


def jpeginfo(data: bytes) -> bool:
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(data)
        file.flush()
        return subprocess.run(["jpeginfo", "-c", file.name], capture_output=True, check=False).returncode != 0


def cv2_warns(data: bytes) -> bool:
    cv2 = import_module("cv2")
    with tempfile.TemporaryFile() as caught, silenced(caught.fileno()):
        broken = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is None
        return bool(broken or caught.tell() > 0)


def pyvips_refuses(data: bytes) -> bool:
    pyvips = import_module("pyvips")
    try:
        pyvips.Image.new_from_buffer(data, "", fail_on="warning").avg()
    except pyvips.Error:
        return True
    return False


def judges() -> dict[str, Judge]:
    found: dict[str, Judge] = {"tamis": ours, "Pillow verify": pillow_verify}
    found |= {"Pillow load": lambda data: not pillow_loads(data), "simplejpeg strict": strict}
    if find_spec("cv2"):
        found["cv2, stderr"] = cv2_warns
    if find_spec("pyvips"):
        found["pyvips"] = pyvips_refuses
    if shutil.which("jpeginfo"):
        found["jpeginfo"] = jpeginfo
    return found


def encoded_anew(image: Image.Image, rng: np.random.Generator, restarts: Restarts) -> bytes:
    quality, sampling = int(rng.integers(30, 99)), int(rng.integers(3))
    return encoded(image, "JPEG", quality=quality, subsampling=sampling, optimize=bool(rng.integers(2)), **restarts)


def restarted(data: bytes, restarts: Restarts) -> bytes:
    """Return a photo encoded anew with restart markers and its own tables; the photo itself where none are asked for."""
    if not any(restarts.values()):
        return data
    with Image.open(io.BytesIO(data)) as image:
        return encoded(image, "JPEG", quality="keep", **restarts)


def whole(data: bytes, rng: np.random.Generator, restarts: Restarts) -> dict[str, bytes]:
    """Return whole pictures made of a photo, some of them with edges like seams."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    width, height = image.size
    bars, box, step = image.copy(), image.copy(), 8 * int(rng.integers(1, 6))
    ImageDraw.Draw(bars).rectangle((0, 0, width, step - 1), fill=(0, 0, 0))
    ImageDraw.Draw(bars).rectangle((0, height - step, width, height), fill=(0, 0, 0))
    left, top = int(rng.integers(width // 2)) // 8 * 8, int(rng.integers(height // 2)) // 8 * 8
    ImageDraw.Draw(box).rectangle((left, top, width, top + step - 1), fill=tuple(rng.integers(0, 256, 3).tolist()))
    cut = image.crop((int(rng.integers(width // 4)), int(rng.integers(height // 4)), width, height))
    return {
        "photo": data,
        "encoded anew": encoded_anew(image, rng, restarts),
        "bars": encoded_anew(bars, rng, restarts),
        "box": encoded_anew(box, rng, restarts),
        "cropped": encoded_anew(cut, rng, restarts),
    }


def enlarged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a crop of 50 to 90 % of a photo's sides, as 800 x 600 pixels."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    share = rng.uniform(0.5, 0.9)
    width, height = (int(share * side) for side in image.size)
    left, top = int(rng.integers(image.width - width + 1)), int(rng.integers(image.height - height + 1))
    crop = image.crop((left, top, left + width, top + height)).resize((800, 600), Image.Resampling.BILINEAR)
    return encoded(crop, "JPEG", quality=int(rng.choice([80, 85, 90])))


def tell_of_crops(photos: list[bytes], count: int, seed: int) -> None:
    """Print how many enlarged crops of photos, taken in turn, are held back."""
    crops = (enlarged(photos[number % len(photos)], np.random.default_rng([seed, number])) for number in range(count))
    held = [f"{number} (photo {number % len(photos)})" for number, crop in enumerate(crops) if ours(crop)]
    print(f"of {count:,} enlarged crops {len(held)} are held back: {', '.join(held) or 'none'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=300)
    markers = parser.add_mutually_exclusive_group()
    markers.add_argument("--restart-rows", type=int, default=0)
    markers.add_argument("--restart-blocks", type=int, default=0)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--crops", type=int, default=0, help="how many enlarged crops of photos to look at, and nothing else")
    arguments = parser.parse_args()
    restarts = {"restart_marker_rows": arguments.restart_rows, "restart_marker_blocks": arguments.restart_blocks}
    paths = jpeg_files(arguments.photos)
    if arguments.crops:
        tell_of_crops([path.read_bytes() for path in paths], arguments.crops, arguments.seed)
        return
    photos = [photo(restarted(path.read_bytes(), restarts)) for path in paths[:: max(1, len(paths) // arguments.count)][: arguments.count]]
    peers = {"tamis": ours} if arguments.alone else judges()
    rows: list[list[str | int | bool]] = []
    for number, one in enumerate(photos):
        original = pixels(one.data)
        assert original is not None
        for kind in (*KINDS, *HELD_OUT):
            if kind != WHOLE:
                data = damaged(kind, one, photos[(number + 1) % len(photos)], arguments.seed, number)
                seen = effect(original, data) if data != one.data else "none"
                rows.append([kind, number, seen, *(judge(data) for judge in peers.values())])
        for kind, data in whole(one.data, np.random.default_rng([arguments.seed, number]), restarts).items():
            rows.append([f"whole: {kind}", number, "whole", *(judge(data) for judge in peers.values())])
    target = Path(__file__).parent / "results" / f"damage-{arguments.seed}.csv"
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["kind", "photo", "effect", *peers], *rows])
    groups = {
        kind: [row for row in rows if row[0] == kind and row[2] in {"visible", "undecodable", "whole"}]
        for kind in dict.fromkeys(str(row[0]) for row in rows)
    }
    groups["**visible, known kinds**"] = [row for row in rows if row[2] == "visible" and row[0] in KINDS]
    groups["**visible, held-out kinds**"] = [row for row in rows if row[2] == "visible" and row[0] in HELD_OUT]
    groups["**whole**"] = [row for row in rows if row[2] == "whole"]
    print(f"| files | n | {' | '.join(peers)} |\n|---|--:|{'--:|' * len(peers)}")
    for kind, some in groups.items():
        sums = Counter(place for row in some for place in range(len(peers)) if row[3 + place])
        print(f"| {kind} | {len(some)} | {' | '.join(share(sums[place], len(some)) for place in range(len(peers)))} |")


if __name__ == "__main__":
    main()
