"""Duplicate pictures beside imagededup, on the pairs of duplicate_images.

    .venv/bin/python bench/evaluate_imagededup.py --data DIR [--peer PYTHON]

imagededup is installed into an environment of its own (it brings torch, 2 GB and more with CUDA's libraries), or is that of `--peer`. Pairs
are joined to clusters for both. Its CNN needs weights from the network and is told as failed where there is none.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from evaluate_common import Table, score_pairs
from evaluate_duplicates import representatives
from harness import described, environment, machine

import tamis
from tamis_kernels import components

LANE = Path(__file__).with_name("imagededup_lane.py")
PEER = "imagededup==0.3.3.post2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--peer", type=Path, help="Python of an environment that has imagededup")
    arguments = parser.parse_args()
    root = arguments.data / "duplicate_images"
    print(described(machine()), f" {PEER}\n")
    with (root / "truth.csv").open(newline="", encoding="utf-8") as file:
        truth = [row for row in csv.DictReader(file) if row["variant"] != "undecodable"]
    places = {row["path"]: place for place, row in enumerate(truth)}
    groups = [row["group"] for row in truth]
    columns = ["search", "pairs found", "right", "precision", "recall", "F1"]
    table = Table(f"Duplicate pictures: {len(truth)} files of duplicate_images beside imagededup", columns)

    def add(name: str, clusters: list[str]) -> None:
        score = score_pairs(groups, clusters)
        table.rows.append([name, score.found, score.right, score.precision, score.recall, score.f1])

    with tempfile.TemporaryDirectory(prefix="tamis-imagededup-") as work:
        for name, settings in (
            ("tamis", {}),
            ("tamis, as_is", {"near_duplicates.orientations": "as_is"}),
            ("tamis, phash64", {"near_duplicates.hash": "phash64"}),
        ):
            stays = representatives(tamis.check(root, Path(work) / name, settings=settings, jobs=1))
            add(name, [stays.get(row["path"], row["path"]) for row in truth])
        python = arguments.peer or environment(Path(work) / "peer", [PEER])
        done = subprocess.run([python, LANE, root], capture_output=True, text=True, check=True)
        for line in filter(lambda line: line.startswith("["), done.stdout.splitlines()):  # the rest is chatter
            setting, found = json.loads(line)
            if isinstance(found, str):
                table.remarks.append(f"imagededup {setting} did not run: {found}")
                continue
            pairs = np.array([[places[one] for one in pair] for pair in found if set(pair) <= places.keys()], np.int64).reshape(-1, 2)
            parent = np.arange(len(truth))
            components.union(parent, pairs[:, 0].copy(), pairs[:, 1].copy(), backend="cpu")
            add(f"imagededup {setting}", [str(one) for one in components.roots(parent, backend="cpu")])
    print(table.markdown())


if __name__ == "__main__":
    main()
