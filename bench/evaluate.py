"""Judge tamis by corpora whose truth is known, and print a table per task.

`--data DIR` names the corpora: `photos`, `broken_images`, `duplicate_images`, `sensors`, `records` and `audio_video`, with the files
that docs/findings.md describes. Everything else is made from a seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import evaluate_corpus
import evaluate_duplicates
import evaluate_formats
import evaluate_instruments
import evaluate_integrity
import evaluate_records
import evaluate_sensors
import evaluate_similarity
import evaluate_windows
from evaluate_common import Setting
from harness import described, machine

PARTS = {
    "corpus": evaluate_corpus.evaluate,
    "integrity": evaluate_integrity.evaluate,
    "formats": evaluate_formats.evaluate,
    "duplicates": evaluate_duplicates.evaluate,
    "records": evaluate_records.evaluate,
    "similarity": evaluate_similarity.evaluate,
    "sensors": evaluate_sensors.evaluate,
    "instruments": evaluate_instruments.evaluate,
    "windows": evaluate_windows.evaluate,
    "sample": evaluate_corpus.evaluate_sample,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="small parts of the corpora, to see that the script works")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run; all by default")
    parser.add_argument("--seed", type=int, default=1, help="seed of the damage and the variants")
    parser.add_argument("--jobs", type=int, default=2, help="worker processes of tamis")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data} is not a folder: --data must name the folder of the corpora")
    Setting(arguments.data, arguments.data).demand()
    print(described(machine()), end="\n\n")
    tables, begun = [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tamis-evaluate-") as work:
        for name in arguments.only:
            folder = Path(work) / name
            folder.mkdir()
            setting = Setting(arguments.data.resolve(), folder, arguments.jobs, arguments.seed, arguments.quick)
            start = time.monotonic()
            for table in PARTS[name](setting):
                print(table.markdown(), flush=True)
                tables.append({"part": name, **asdict(table)})
            print(f"({name}: {time.monotonic() - start:.0f} s)\n", flush=True)
    print(f"({time.monotonic() - begun:.0f} s in all)")
    if arguments.json:
        told = {"machine": machine(), "quick": arguments.quick, "seed": arguments.seed, "jobs": arguments.jobs, "tables": tables}
        arguments.json.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
