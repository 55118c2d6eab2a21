"""Integrity: files of known state, intact photos, and photos damaged on purpose; tamis beside "Pillow opens and loads it"."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from evaluate_common import Cell, Setting, Table, share
from harness import jpeg_files

import tamis
from damage import KINDS, WHOLE, Effect, damaged, effect, photo, pillow_loads, pixels

ONLY_INTEGRITY = {"exact_duplicates.enabled": False, "near_duplicates.enabled": False}


def held_back(setting: Setting, source: Path, name: str) -> dict[str, str]:
    """Return the record and reason of every file that the integrity check rejects."""
    result = tamis.check(source, setting.work / name, settings=ONLY_INTEGRITY, jobs=setting.jobs)
    rows = result.rejected.select("record", "check", "reason").collect()
    return {record: f"{check}/{reason}" for record, check, reason in rows.iter_rows()}


def noted(setting: Setting, name: str) -> dict[str, str]:
    """Return the record and reason of every finding about a file that was kept in the check called `name`."""
    return dict(tamis.Result(setting.work / name).notes.select("record", "reason").collect().iter_rows())


def evaluate(setting: Setting) -> Iterator[Table]:
    """Yield the tables of this part."""
    yield from _known(setting)
    yield from _damage(setting)


def _known(setting: Setting) -> Iterator[Table]:
    table = Table(
        "Integrity: files of known state",
        ["corpus", "truth", "files", "tamis holds back", "% (95 % interval)", "Pillow refuses", "% (95 % interval) "],
    )
    errors = Table("Integrity: every miss and every false alarm of tamis", ["file", "format", "truth", "tamis says"])
    accepted: list[str] = []
    for folder in ("broken_images", "audio_video"):
        root = setting.folder(folder)
        rejected = held_back(setting, root, f"known_{folder}")
        notes = noted(setting, f"known_{folder}")
        with (root / "truth.csv").open(newline="", encoding="utf-8") as file:
            truth = list(csv.DictReader(file))
        sums: Counter[tuple[str, str]] = Counter()
        for row in truth:
            state, path = row["expected"], row["path"]
            sums[state, "n"] += 1
            sums[state, "tamis"] += path in rejected
            if folder == "broken_images":
                refused = not pillow_loads((root / path).read_bytes())
                sums[state, "pillow"] += refused
                if state == "corrupt" and not refused:
                    accepted.append(path)
            if (path in rejected) != (state == "corrupt") and state != "odd":
                errors.rows.append([path, row["format"], state, rejected.get(path) or f"kept ({notes.get(path, 'no note')})"])
        for state in ("corrupt", "valid", "odd"):
            peers: list[Cell] = ["not measured", ""]
            if folder == "broken_images":
                peers = [f"{sums[state, 'pillow']:,}", share(sums[state, "pillow"], sums[state, "n"])]
            hits, n = sums[state, "tamis"], sums[state, "n"]
            table.rows.append([folder, state, n, hits, share(hits, n), *peers])
    photos = photo_files(setting)
    rejected = held_back(setting, setting.folder("photos"), "known_photos")
    false = sum(path.name in rejected for path in photos)
    peer = sum(not pillow_loads(path.read_bytes()) for path in photos)
    table.rows.append(["photos", "valid", len(photos), false, share(false, len(photos)), f"{peer:,}", share(peer, len(photos))])
    table.remarks.append("`corrupt`: to be held back; `valid`: to be kept, else a false alarm; `odd`: the truth claims no verdict.")
    table.remarks.append(f"Corrupt, and loaded by Pillow without an error: {', '.join(accepted) or 'none'}.")
    yield table
    yield errors


def photo_files(setting: Setting) -> list[Path]:
    files = jpeg_files(setting.folder("photos"))
    return files[:: len(files) // 30] if setting.quick else files


def _damage(setting: Setting) -> Iterator[Table]:
    photos = [photo(path.read_bytes()) for path in photo_files(setting)]
    root = setting.work / "damaged"
    effects: dict[str, Effect] = {}
    refused: set[str] = set()
    for number, one in enumerate(photos):
        original = pixels(one.data)
        assert original is not None
        for place, kind in enumerate(KINDS):
            data = damaged(kind, one, photos[(number + 1) % len(photos)], setting.seed, number)
            record = f"{place:02d}/{number:03d}.jpg"
            path = root / record
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            effects[record] = effect(original, data) if data != one.data else "none"
            if not pillow_loads(data):
                refused.add(record)
    rejected, notes = held_back(setting, root, "damage"), noted(setting, "damage")
    shutil.rmtree(root)
    yield _by_effect(effects, set(rejected), refused)
    yield _by_kind(effects, set(rejected), refused, notes, len(photos))


def _by_effect(effects: dict[str, Effect], rejected: set[str], refused: set[str]) -> Table:
    whole = f"{list(KINDS).index(WHOLE):02d}/"
    table = Table(
        "Integrity: damaged photos by what the damage does to the picture",
        ["effect", "files", "tamis holds back", "% (95 % interval)", "Pillow refuses", "% (95 % interval) "],
    )
    for wanted in ("undecodable", "visible", "slight", "none"):
        files = {record for record, found in effects.items() if found == wanted and not record.startswith(whole)}
        ours, peers = len(files & rejected), len(files & refused)
        table.rows.append([wanted, len(files), ours, share(ours, len(files)), peers, share(peers, len(files))])
    table.remarks.append(
        "visible: another size, or 0.1 % of the pixels off by more than 16 of 255 levels, in Pillow's tolerant decode; "
        "slight: less than that; none: every pixel as before. Without the PNGs, which are whole."
    )
    return table


def _by_kind(effects: dict[str, Effect], rejected: set[str], refused: set[str], notes: dict[str, str], photos: int) -> Table:
    table = Table(
        f"Integrity: {photos} photos, each damaged once by each kind",
        [
            "damage",
            "seen in the picture",
            "tamis holds back",
            "% (95 % interval)",
            "Pillow refuses",
            "% (95 % interval) ",
            "slight",
            "held back",
        ],
    )
    unchanged = []
    for place, kind in enumerate(KINDS):
        files = {record for record in effects if record.startswith(f"{place:02d}/")}
        if kind == WHOLE:
            told = sum(notes.get(record) == "misnamed" for record in files)
            table.remarks.append(
                f"{kind}: {len(files & rejected)} of {len(files)} are held back; {told} are kept and noted as "
                "misnamed, which is the default."
            )
            continue
        seen = {record for record in files if effects[record] in {"visible", "undecodable"}}
        slight = {record for record in files if effects[record] == "slight"}
        ours, peers, same = len(seen & rejected), len(seen & refused), files - seen - slight
        figures: list[Cell] = [len(seen), ours, share(ours, len(seen)), peers, share(peers, len(seen)), len(slight), len(slight & rejected)]
        table.rows.append([kind, *figures])
        if same:
            unchanged.append(f"{kind}: {len(same)}, {len(same & rejected)} of them held back")
    table.remarks.insert(0, f"Seen in the picture: visible or undecodable. No pixel changed: {'; '.join(unchanged) or 'in none'}.")
    return table
