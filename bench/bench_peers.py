"""Near-duplicate engines side by side, each in an environment of its own: hashes, token lists, raw text to signatures and clusters.

Rates are per CPU second of the whole process, so that a library gains nothing by its threads. Three processes a lane, in turn; the median
of all their runs. The environments are made under TAMIS_BENCH_PEERS and used again. datasketch takes hundreds of times
as long on sets of hashes (`bench_minhash.py`) and is in the last lane only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import harness
import numpy as np
from harness import Report, Row

HERE = Path(__file__).parent
ENVIRONMENTS = Path(os.environ.get("TAMIS_BENCH_PEERS", HERE / ".peers"))
PEERS = {
    "rensa": ["rensa==0.5.0", "numpy"],
    "fastsketchlsh": ["FastSketchLSH==1.0.1", "numpy"],
    "datasketch": ["datasketch==2.0.0", "xxhash", "numpy"],
    "daft": ["daft==0.7.26", "pyarrow<26", "numpy"],
    "gaoya": ["gaoya==0.2.2", "numpy"],
    "ioos": ["ioos_qc==3.0.0"],
    "faiss": ["faiss-cpu==1.15.1", "numpy"],
    "hampel": ["hampel==1.0.2", "pandas==3.1.1", "bottleneck==1.6.0", "numpy"],
}
HASHED = ["tamis_fss_hashed", "tamis_affine32_hashed", "rensa_hashed", "fastsketchlsh_hashed"]
LISTS = ["tamis_lists", "rensa_lists", "fastsketchlsh_lists"]
RAW = ["tamis_raw", "tamis_raw_affine32", "daft_raw"]
CLUSTERS = ["tamis_clusters", "tamis_clusters_unverified", "gaoya_clusters", "rensa_clusters", "datasketch_clusters"]
SIZES = (16, 64, 256, 1024, 8192)
PROCESSES, RUNS = 3, 3


def environment(peer: str) -> str:
    """Return the Python of a peer's environment, which is made if it is not there; our own runs tamis."""
    return sys.executable if peer == "tamis" else harness.environment(ENVIRONMENTS / peer, PEERS[peer])


def measure(report: Report, case: str, lanes: list[str], work: float, unit: str, folder: Path) -> None:
    """Time lanes in turn, each in a process of its own, and print rates and ratios."""
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    seconds: dict[str, list[float]] = {lane: [] for lane in lanes}
    for _ in range(1 if report.quick else PROCESSES):
        for lane in lanes:
            command = [environment(lane.split("_")[0]), str(HERE / "peer_lane.py"), lane, str(folder), str(RUNS)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | one_thread)
            seconds[lane] += json.loads(done.stdout.splitlines()[-1])[1:]
    rows = {lane: Row(case, lane, unit, work, taken) for lane, taken in seconds.items()}
    for lane, row in rows.items():
        ratio = "" if lane == lanes[0] else f"  ours is {rows[lanes[0]].rate / row.rate:7.2f}x"
        print(
            f"{case:32s} {lane:26s} {row.rate:10.4g} {unit}/CPU-s  [{min(row.seconds):.3f} … {max(row.seconds):.3f} s]{ratio}", flush=True
        )
    for lane, row in rows.items():
        told = {"case": case, "lane": lane, "unit": f"{unit}/CPU-s", "rate": row.rate, "median": median(row.seconds)}
        report.write({**told, "seconds": row.seconds})


def write_tokens(folder: Path, size: int, total: int) -> float:
    """Write rows of `size` random 64-bit hashes, and return how many million there are."""
    count = max(2, total // size)
    np.save(folder / "tokens.npy", np.random.default_rng(size).integers(0, 2**64, count * size, np.uint64))
    np.save(folder / "offsets.npy", np.arange(0, count * size + 1, size))
    return count * size / 1e6


def write_texts(folder: Path, size: int, count: int) -> float:
    """Write texts of `size` words, every tenth followed by a copy with one word changed; return the megabytes."""
    generator = np.random.default_rng(size)
    vocabulary = np.array(
        ["".join(chr(97 + letter) for letter in generator.integers(0, 26, generator.integers(3, 10))) for _ in range(20_000)]
    )
    lines = []
    for number in range(count):
        words = vocabulary[generator.integers(0, vocabulary.size, size)]
        lines.append(" ".join(words))
        if number % 10 == 0:
            words[size // 2] = "changed"
            lines.append(" ".join(words))
    text = "\n".join(lines)
    (folder / "texts.txt").write_text(text, encoding="utf-8")
    return len(text) / 1e6


def main() -> None:
    report = Report.from_arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in SIZES:
            work = write_tokens(folder, size, 1 << (16 if report.quick else 21))
            measure(report, f"{size} hashes a set", HASHED, work, "M", folder)
        for size in SIZES:
            write_texts(folder, size, max(2, (1 << (14 if report.quick else 18)) // size))
            work = sum(line.count(" ") + 1 for line in (folder / "texts.txt").read_text(encoding="utf-8").splitlines()) / 1e6
            measure(report, f"{size} tokens a list", LISTS, work, "M", folder)
        for size in (100, 700):
            work = write_texts(folder, size, (20_000 if report.quick else 1_400_000) // size)
            measure(report, f"word 5-grams of {size} words", RAW, work, "MB", folder)
            measure(report, f"clusters of {size}-word texts", CLUSTERS, work, "MB", folder)


if __name__ == "__main__":
    main()
