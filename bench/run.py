"""Run all benchmarks and write down what they print: per benchmark a text, and JSON lines with the machine and the commit.

    python bench/run.py                          # everything, into bench/results/<processor>-<cores>-cores/
    python bench/run.py --only minhash moments   # some of them
    python bench/run.py --quick --out /tmp/try   # small inputs, to see that they work

A benchmark that finds a wrong result ends with an error, and so does this script, after the others have run.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from harness import machine

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="names without bench_ and .py")
    parser.add_argument("--quick", action="store_true", help="small inputs, to see that the benchmarks work")
    parser.add_argument("--photos", type=Path, help="folder of JPEG files for the benchmark of media; synthetic ones without it")
    parser.add_argument("--out", type=Path, help="folder for what they print")
    arguments = parser.parse_args()
    found = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    for name in ("cuda", "staging"):  # bench/gpu.sh runs the one where there is a GPU; the other needs numba-cuda
        del found[name]
    unknown = set(arguments.only) - found.keys()
    if unknown:
        sys.exit(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    about = machine()
    processor = re.sub(r"\((R|TM)\)|\bProcessor\b|\bCPU\b", " ", about["processor"])
    name = re.sub(r"[^a-z0-9]+", "-", f"{processor} {about['cores']} cores".lower()).strip("-")
    out: Path = arguments.out or HERE / "results" / name
    out.mkdir(parents=True, exist_ok=True)
    options = ["--quick"] if arguments.quick else []
    own = {name: ["--photos", str(arguments.photos)] for name in ("media", "png")} if arguments.photos else {}
    failed = [one for one in arguments.only or found if not run(one, found[one], out, [*options, *own.get(one, [])])]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run(name: str, script: Path, out: Path, options: list[str]) -> bool:
    """Run one benchmark, show what it prints and write it down; return whether its results were right."""
    lines = out / f"{name}.jsonl"
    lines.unlink(missing_ok=True)
    shown = ["DIR" if "/" in option else option for option in options]
    with (out / f"{name}.txt").open("w") as file:
        file.write(f"$ python bench/{script.name} {' '.join(shown)}\n# {datetime.now(UTC):%Y-%m-%d}\n")
        process = subprocess.Popen(
            [sys.executable, str(script), *options, "--json", str(lines)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            file.write(line)
        return process.wait() == 0


if __name__ == "__main__":
    main()
