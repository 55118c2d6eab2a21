"""Fuzz the walks over containers: `python bench/fuzz_walks.py [--only gif zip] [--seconds 30] [--seed 1] [--keep FOLDER]`.

Each walk gets broken files for so many seconds, in a process of its own, and may answer with its verdict alone: `FaultError` from media,
problems and `Unavailable` from archives. Any other exception ends it, as do ten seconds for one file and half a gigabyte of memory; the
file is left behind. Where atheris is installed it chooses the files by the branches that they reach (kernels run as Python then, so it sees
theirs); elsewhere whole files are broken at random. `--keep` holds what atheris has found, for the next time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import nullcontext, redirect_stderr, suppress
from functools import partial
from io import StringIO
from pathlib import Path

from images import encoded

os.environ["NUMBA_DISABLE_JIT"] = "1"
sys.path.append(str(Path(__file__).parents[1] / "tests" / "engine"))  # where whole files of every kind are made

try:
    import atheris
except ImportError:
    atheris = None

from made_media import WHOLE, pixels
from PIL import Image

with redirect_stderr(StringIO()), atheris.instrument_imports(include=["tamis", "tamis_kernels"]) if atheris else nullcontext():
    from tamis.media import jpeg, png
    from tamis.media.containers import WALKS
    from tamis.media.inspection import FaultError, Limits
    from tamis.sources.containers import index_archive
    from tamis.sources.listing import Problem, SourceFile
    from tamis.sources.payload import PayloadReader, Unavailable
    from tamis.sources.tars import copy_tar
    from tamis.sources.zips import DamagedZipError, copy_zip
    from tamis_kernels import jpeg as jpeg_kernel

LIMITS = Limits(max_pixels=1 << 20, max_total_pixels=1 << 22, max_frames=1000)
MOST_BYTES, MOST_SECONDS, LONGEST = 512 << 20, 10, 1 << 16
SEEDS = {"heic": ("avif",), "mp4": ("mp4", "mp4, fragments", "mov", "m4a"), "mkv": ("mkv", "webm"), "webp": ("webp", "webp, lossless")}
SEEDS |= {"tiff": ("tiff", "tiff, deflate", "tiff, lzw", "tiff, packbits"), "png": ("png", "apng"), "ogg": ("ogg", "opus")}

Target = Callable[[bytes], object]


def walk(name: str) -> Target:
    def target(data: bytes) -> None:
        with suppress(FaultError):
            WALKS[name](data, LIMITS)

    return target


def picture(data: bytes) -> None:
    with suppress(FaultError):
        png.gray(png.read(data, LIMITS))


def header(data: bytes) -> None:
    with suppress(FaultError):
        jpeg.check_size(jpeg.read_header(data), data, LIMITS)


def both_backends(data: bytes) -> None:
    """Walk a JPEG by the reference and by the kernel, both as Python: they must tell the same."""
    one, other = (jpeg_kernel.walk(data, backend=backend) for backend in ("reference", "cpu"))
    assert (one.fault, one.place, one.mcu, one.mcus, one.bad_mcus) == (other.fault, other.place, other.mcu, other.mcus, other.bad_mcus)
    assert [plane.tobytes() for plane in one.planes] == [plane.tobytes() for plane in other.planes]


def tiny_photos() -> list[bytes]:
    found = []
    for mode, restart in (("L", 0), ("RGB", 0), ("RGB", 1)):
        found.append(encoded(Image.fromarray(pixels(17, 24)).convert(mode), "JPEG", quality=30, restart_marker_blocks=restart))
    return found


def archive(suffix: str) -> Target:
    """Index an archive, read all its members, and copy every second of them."""
    folder = Path(tempfile.mkdtemp(prefix="tamis-fuzz-"))

    def target(data: bytes) -> None:
        path = folder / f"a{suffix}"
        path.write_bytes(data)
        status = path.stat()
        found = index_archive(SourceFile(path.name, str(path), status.st_size, status.st_mtime_ns, "archive"), folder / "unpacked")
        if isinstance(found, Problem):
            return
        records = [*(file.record for file in found.files), *(problem.record for problem in found.problems)]
        assert records
        assert len(records) == len(set(records))
        with PayloadReader(1 << 20) as payloads:
            for file in found.files:
                with suppress(Unavailable):
                    payloads.read(file)
        with Path(folder, "copy").open("wb") as copy, suppress(DamagedZipError):
            (copy_zip if suffix == ".zip" else copy_tar)(found.container, frozenset(file.offset for file in found.files[::2]), copy)

    return target


def packed(form: str) -> list[bytes]:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "seed")
        path.write_bytes(b"seed" * 20)
        if form == "zip":
            with zipfile.ZipFile(Path(name, "a"), "w") as one:
                for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
                    one.write(path, f"d/{method}.jpg", method)
        else:
            with tarfile.open(Path(name, "a"), "w:gz" if form == "tgz" else "w", format=tarfile.PAX_FORMAT) as other:
                for member in ("d/1.jpg", "d/1.json", "é" * 60 + ".png", "l" * 120 + ".png"):
                    other.add(path, member)
        return [Path(name, "a").read_bytes()]


def targets() -> dict[str, tuple[Callable[[], Target], Callable[[], list[bytes]]]]:
    """Return for each walk what makes it, and what makes whole files for it."""
    names = [name for name in WALKS if name not in ("avif", "m4a", "mov", "webm")]  # these are walked as others are
    return {
        **{name: (partial(walk, name), partial(whole, name)) for name in names},
        "png": (lambda: picture, partial(whole, "png")),
        "jpeg": (lambda: both_backends, tiny_photos),
        "jpeg header": (lambda: header, partial(whole, "jpeg")),
        **{name: (partial(archive, f".{name}"), partial(packed, name)) for name in ("tar", "tgz", "zip")},
    }


def whole(name: str) -> list[bytes]:
    return [WHOLE[kind]() for kind in SEEDS.get(name, (name,))]


def too_long(_number: int, _frame: object) -> None:
    message = f"one file took more than {MOST_SECONDS} seconds"
    raise TimeoutError(message)


def guarded(target: Target) -> Target:
    """Let a target run so long, and in so much memory, and no more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if atheris:
        return target  # which has a clock of its own
    signal.signal(signal.SIGALRM, too_long)

    def run(data: bytes) -> None:
        signal.alarm(MOST_SECONDS)
        target(data)
        signal.alarm(0)

    return run


def broken(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """Change a file in some places: bits, bytes, numbers, runs deleted, repeated or taken from another file."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        place, size = chance.randrange(len(changed) + 1), chance.choice((1, 2, 4, 8, chance.randint(1, 200)))
        match chance.randrange(6):
            case 0:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                changed[place : place + size] = chance.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * size
            case 2:
                changed[place : place + size] = chance.choice((0, 1, len(data), 1 << 31, 1 << 16)).to_bytes(
                    8, chance.choice(("little", "big"))
                )[:size]
            case 3:
                del changed[place : place + size]
            case 4:
                changed[place:place] = changed[place : place + size]
            case _:
                changed[place : place + size] = other[place : place + size]
    return bytes(changed[:LONGEST])


def fuzz(name: str, seconds: float, seed: int, keep: Path | None) -> None:
    """Break files for one walk until the time is over."""
    make, seeds = targets()[name]
    files = [data[:LONGEST] for data in seeds()]
    target = guarded(make())
    for data in files:
        target(data)
    if atheris:
        folder = (keep or Path(tempfile.mkdtemp(prefix="tamis-fuzz-"))) / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        for data in files:
            (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
        options = [
            f"-max_total_time={seconds:.0f}",
            f"-seed={seed}",
            f"-max_len={LONGEST}",
            f"-timeout={MOST_SECONDS}",
            "-rss_limit_mb=0",
            "-verbosity=0",
        ]
        atheris.Setup(
            [sys.argv[0], *options, "-print_final_stats=1", f"-artifact_prefix=fuzz-{name.replace(' ', '_')}-", str(folder)], target
        )
        atheris.Fuzz()  # ends the process
    chance, count, end = random.Random(f"{seed} {name}"), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = broken(chance.choice(files), chance.choice(files), chance)
        try:
            target(data)
        except BaseException:
            Path(f"fuzz-{name.replace(' ', '_')}").write_bytes(data)
            raise
        count += 1
    print(f"stat::number_of_executed_units: {count}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], choices=list(targets()))
    parser.add_argument("--seconds", type=float, default=30, help="for each walk")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        fuzz(arguments.one, arguments.seconds, arguments.seed, arguments.keep)
        return
    print(f"by {'the branches reached (atheris)' if atheris else 'random changes alone: atheris is not installed'}")
    failed = []
    for name in arguments.only or targets():
        rest = [
            "--seconds",
            str(arguments.seconds),
            "--seed",
            str(arguments.seed),
            *(["--keep", str(arguments.keep)] if arguments.keep else []),
        ]
        done = subprocess.run([sys.executable, __file__, "--one", name, *rest], capture_output=True, text=True, check=False)
        told = [line.split()[-1] for line in (done.stdout + done.stderr).splitlines() if "number_of_executed_units" in line]
        print(f"{name:12s} {told[0] if told else '?':>9s} files  {'no finding' if not done.returncode else 'FOUND'}", flush=True)
        if done.returncode:
            failed.append(name)
            print((done.stdout + done.stderr)[-3000:])
    if failed:
        sys.exit(f"found something in {', '.join(failed)}")


if __name__ == "__main__":
    main()
