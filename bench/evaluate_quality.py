"""Quality of pictures: faults planted with known truth, thresholds against figures of all pixels, and CleanVision beside it.

    .venv/bin/python bench/evaluate_quality.py --photos FOLDER [--cleanvision PYTHON] [--every 3]

Every photo stays as it is once, and every n-th is also changed in each of the ways below. PYTHON is an interpreter that has `cleanvision`.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from evaluate_common import Table, share
from harness import jpeg_files
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

import tamis
from images import encoded
from tamis.checks.quality import ISSUES, Options, measured
from tamis.media import inspect

CLEANVISION = """
import json, sys, time
from cleanvision import Imagelab
start = time.perf_counter()
lab = Imagelab(data_path=sys.argv[1], verbose=False)
kinds = ("dark", "light", "low_information", "blurry", "grayscale", "odd_aspect_ratio", "odd_size")
lab.find_issues({kind: {} for kind in kinds}, n_jobs=1, verbose=False)
found = {kind: lab.issues.index[lab.issues[f"is_{kind}_issue"]].tolist() for kind in kinds}
print(json.dumps({"found": found, "seconds": time.perf_counter() - start, "pictures": len(lab.issues)}))
"""
THEIRS = {"light": "bright", "odd_aspect_ratio": "odd_aspect"}
Change = Callable[[Image.Image], Image.Image]


def levels(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Change:
    """Return a change of the levels of a picture."""
    return lambda image: Image.fromarray(np.clip(np.rint(change(np.asarray(image, np.float64))), 0, 255).astype(np.uint8))


def darker(by: float) -> Change:
    """Return a change that multiplies the levels."""
    return levels(lambda pixels: pixels * by)


def lighter(by: float) -> Change:
    """Return a change that presses the levels against the top."""
    return levels(lambda pixels: 255 - (255 - pixels) * by)


def coarser(by: int) -> Change:
    """Return a change that rounds the levels."""
    return levels(lambda pixels: np.rint(pixels / by) * by)


def blurred(part: float) -> Change:
    """Return a Gaussian blur whose sigma is a part of the longer side."""
    return lambda image: image.filter(ImageFilter.GaussianBlur(part * max(image.size)))


def plain(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(image.width).normal(0, 1, (image.height, image.width, 3))
    return levels(lambda pixels: pixels.mean((0, 1)) + noise)(image)


def small_on_a_ground(image: Image.Image) -> Image.Image:
    ground = Image.new("RGB", image.size, (250, 250, 250))
    ground.paste(image.resize((image.width // 4, image.height // 4)), (image.width * 3 // 8, image.height * 3 // 8))
    return ground


# Name: the issue that it must be told as, and how it is made.
FAULTS: dict[str, tuple[str, Change]] = {
    "darkened to a quarter": ("dark", darker(0.25)),
    "brightened to the top 4 %": ("bright", lighter(0.04)),
    "contrast of 6 %": ("low_contrast", levels(lambda pixels: 128 + (pixels - pixels.mean()) * 0.06)),
    "small on a plain ground": ("low_information", small_on_a_ground),
    "plain with noise": ("near_constant", plain),
    "blurred, sigma 0.8 % of the side": ("blurry", blurred(0.008)),
    "blurred, sigma 1.6 %": ("blurry", blurred(0.016)),
    "blurred, sigma 3.2 %": ("blurry", blurred(0.032)),
    "grey": ("grayscale", lambda image: image.convert("L")),
    "grey stored as RGB": ("grayscale", lambda image: image.convert("L").convert("RGB")),
    "bars above and below": ("letterboxed", lambda image: ImageOps.expand(image, (0, image.height // 8), (0, 0, 0))),
    "bars left and right": ("letterboxed", lambda image: ImageOps.expand(image, (image.width // 8, 0), (0, 0, 0))),
    "a strip, 5 to 1": ("odd_aspect", lambda image: image.crop((0, 0, image.width, max(1, image.width // 5)))),
    "shrunk to 40 pixels": ("odd_size", lambda image: image.resize((40, max(1, 40 * image.height // image.width)))),
}


def write(folder: Path, photos: list[Path], every: int) -> dict[str, str]:
    """Write the photos and what is made of them; return the fault of each file, empty for none."""
    truth = {}
    for number, path in enumerate(photos):
        record = f"clean/{path.stem}.jpg"
        (folder / "clean").mkdir(parents=True, exist_ok=True)
        (folder / record).write_bytes(path.read_bytes())
        truth[record] = ""
        for fault, (_, change) in FAULTS.items() if number % every == 0 else ():
            place = folder / fault.replace(" ", "_").replace("%", "pc")
            place.mkdir(exist_ok=True)
            if "shrunk" in fault and number % (10 * every):
                continue  # a size is odd only where few have it
            with Image.open(path) as image:
                change(image.convert("RGB")).save(place / f"{path.stem}.jpg", quality=90)
            truth[f"{place.name}/{path.stem}.jpg"] = fault
    return truth


def ours(folder: Path, out: Path) -> tuple[dict[str, set[str]], float]:
    """Run the check; return the issues of each record, and the seconds it took with one process."""
    off = {f"{name}.enabled": False for name in ("near_duplicates", "exact_duplicates", "labels")}
    start = time.perf_counter()
    result = tamis.check(folder, out, jobs=1, settings=off)
    seconds = time.perf_counter() - start
    found: dict[str, set[str]] = {}
    for record, issue in result.notes.filter(pl.col("check") == "quality").select("record", "reason").collect().iter_rows():
        found.setdefault(record, set()).add(issue)
    return found, seconds


def theirs(folder: Path, python: str) -> tuple[dict[str, set[str]], float]:
    """Run CleanVision; return the same."""
    done = subprocess.run([python, "-c", CLEANVISION, str(folder)], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    found: dict[str, set[str]] = {}
    for kind, paths in told["found"].items():
        for path in paths:
            found.setdefault(str(Path(path).relative_to(folder)), set()).add(THEIRS.get(kind, kind))
    return found, told["seconds"]


def print_detection(truth: dict[str, str], lanes: dict[str, dict[str, set[str]]]) -> None:
    table = Table("Planted faults", ["fault", "must be told as", "pictures", *(f"{lane} finds" for lane in lanes)])
    for fault, (issue, _) in FAULTS.items():
        records = [record for record, what in truth.items() if what == fault]
        hits = [share(sum(issue in found.get(record, ()) for record in records), len(records)) for found in lanes.values()]
        table.rows.append([fault, issue, len(records), *hits])
    print(table.markdown())
    clean = [record for record, what in truth.items() if not what]
    flags = Table(f"Flags on {len(clean)} photos as they are", ["issue", *lanes])
    for issue in ISSUES:
        flags.rows.append([issue, *(sum(issue in found.get(record, ()) for record in clean) for found in lanes.values())])
    print(flags.markdown())
    for record in clean:
        told = sorted(lanes["tamis"].get(record, ()))
        if told:
            print(f"    {record}: {', '.join(told)}")


def at_full_size(image: Image.Image) -> tuple[float, float, float]:
    """Return what CleanVision judges by: p99 and p5 of the brightness of all pixels, of 1, and Pillow's entropy."""
    red, green, blue = (np.asarray(image, np.float64)[:, :, band] for band in range(3))
    brightness = np.sqrt(0.241 * red**2 + 0.691 * green**2 + 0.068 * blue**2) / 255
    low, high = np.percentile(brightness, (5, 99))
    return float(high), float(low), image.convert("L").entropy()


def print_thresholds(photos: list[Path]) -> None:
    """Print how far the figures of small pictures agree with those of all pixels, on photos and ladders of darker and lighter ones."""
    ladders: list[Change] = [lambda one: one, *map(darker, (0.2, 0.25, 0.3, 0.35, 0.4, 0.5))]
    ladders += [*map(lighter, (0.03, 0.05, 0.07, 0.1, 0.2)), *map(coarser, (8, 16, 32, 64))]
    large, small = [], []
    for path in photos:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        for change in ladders:
            data = encoded(change(image), "JPEG", quality=95)
            large.append(at_full_size(Image.open(io.BytesIO(data)).convert("RGB")))
            small.append(inspect(data, name="a.jpg"))
    full, figures, options = np.array(large), measured(small, "cpu"), Options()
    rules = (
        ("dark", full[:, 0] < 0.32, figures["p99"], full[:, 0] * 255, -1, options.dark),
        ("bright", full[:, 1] > 0.95, figures["p5"], full[:, 1] * 255, 1, options.bright),
        ("low_information", full[:, 2] < 3, figures["entropy"], full[:, 2], -1, options.information),
    )
    table = Table(
        "Small pictures against all pixels", ["issue", "flagged at full size", "r", "best threshold", "it agrees on", "default agrees on"]
    )
    for issue, flagged, values, exact, sign, default in rules:
        candidates = np.unique(values)
        agreement = [np.mean((sign * values > sign * candidate) == flagged) for candidate in candidates]
        best = int(np.argmax(agreement))
        told = np.mean((sign * values > sign * default) == flagged)
        r = np.corrcoef(values, exact)[0, 1]
        table.rows.append([issue, int(flagged.sum()), f"{r:.3f}", f"{candidates[best]:.2f}", f"{agreement[best]:.2%}", f"{told:.2%}"])
    print(f"{len(full)} pictures\n\n{table.markdown()}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="a folder of sound photos")
    parser.add_argument("--cleanvision", help="an interpreter that has cleanvision")
    parser.add_argument("--every", type=int, default=3, help="how many photos there are for each that is changed")
    chosen = parser.parse_args()
    photos = jpeg_files(chosen.photos)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in")
        truth = write(folder, photos, chosen.every)
        found, seconds = ours(folder, Path(name, "out"))
        lanes = {"tamis": found}
        print(f"tamis: {len(truth) / seconds:.0f} pictures/s with integrity and start, one process")
        if chosen.cleanvision:
            lanes["CleanVision"], seconds = theirs(folder, chosen.cleanvision)
            print(f"CleanVision: {len(truth) / seconds:.0f} pictures/s, one process")
        print_detection(truth, lanes)
    print_thresholds(photos[:: 2 * chosen.every])


if __name__ == "__main__":
    main()
