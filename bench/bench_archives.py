"""The same photos in a folder, in archives and in tables: indexing, reading every payload, and whole runs with their peaks of memory.

Peers index and read the same files: Python's tarfile and zipfile, pyarrow, and webdataset where it is installed. Ours check more: paths,
overlaps, truncation, CRCs. Rates of the first two parts are by the clock, in one process; whole runs have two workers. Before those count,
a folder is cleaned once, so that no process compiles kernels while it is watched.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import bench_memory
import corpora
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Lane, Report, installed, size_of

from tamis.sources.containers import index_archive, index_media_table
from tamis.sources.listing import SourceFile, list_source
from tamis.sources.members import Indexed
from tamis.sources.payload import PayloadReader

PICTURES, QUICK = 1_000, 100
FORMS = {"tar": "a.tar", "tgz": "a.tgz", "zip": "a.zip", "parquet": "a.parquet", "arrow": "a.arrow"}


def write(folder: Path, pictures: int) -> dict[str, Path]:
    """Write the same pictures in every form, each in a folder of its own; return the folders."""
    corpora.write("JPEG", folder / "folder", pictures)
    files = sorted(path for path in (folder / "folder").rglob("*") if path.is_file())
    names = [path.relative_to(folder / "folder").as_posix() for path in files]
    targets = {form: folder / form / name for form, name in FORMS.items()}
    for target in targets.values():
        target.parent.mkdir()
    for form, mode in (("tar", "w"), ("tgz", "w:gz")):
        with tarfile.open(targets[form], mode) as tar:  # type: ignore[call-overload]
            for path, name in zip(files, names, strict=True):
                tar.add(path, name)
    with zipfile.ZipFile(targets["zip"], "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in zip(files, names, strict=True):
            archive.write(path, name)
    table = pa.table({"image": [{"bytes": path.read_bytes(), "path": name} for path, name in zip(files, names, strict=True)]})
    pq.write_table(table, targets["parquet"], row_group_size=100)
    with pa.ipc.new_file(targets["arrow"], table.schema) as arrow:
        arrow.write_table(table, max_chunksize=100)
    return {"folder": folder / "folder", **{form: target.parent for form, target in targets.items()}}


def index(source: Path) -> Indexed:
    """Return the records of the one container in a folder; what is unpacked lies beside the folder."""
    (file,) = list_source(source).files
    found = index_archive(file, source.parent / "unpacked") if file.kind == "archive" else index_media_table(file)
    assert isinstance(found, Indexed)
    return found


def read(files: Iterable[SourceFile]) -> int:
    with PayloadReader(1 << 30) as payloads:
        return sum(len(payloads.read(file)) for file in files)


def index_and_read(source: Path) -> int:
    return read(index(source).files)


def by_tarfile(path: Path, mode: str) -> int:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        return sum(len(tar.extractfile(member).read()) for member in tar)


def by_zipfile(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(len(archive.read(member)) for member in archive.infolist())


def by_webdataset(path: Path) -> int:
    import webdataset

    samples = webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
    return sum(len(payload) for sample in samples for key, payload in sample.items() if key.endswith("jpg"))


def by_pyarrow(path: Path) -> int:
    if path.suffix == ".arrow":
        file = pa.ipc.open_file(pa.OSFile(str(path)))
        batches: Iterable[pa.RecordBatch] = (file.get_batch(number) for number in range(file.num_record_batches))
    else:
        batches = pq.ParquetFile(path, pre_buffer=False).iter_batches(64, use_threads=False)
    return sum(len(value.as_py()) for batch in batches for value in batch.column(0).field("bytes"))


def names_by_tarfile(path: Path) -> int:
    with tarfile.open(path) as tar:
        return len(tar.getnames())


def names_by_zipfile(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return len(archive.namelist())


def peers(sources: dict[str, Path]) -> dict[str, dict[str, Lane]]:
    """Return for each form the programs that read all of its payloads, and what they return: the bytes."""
    path = {form: sources[form] / name for form, name in FORMS.items()}
    found: dict[str, dict[str, Lane]] = {
        "tar": {"tarfile": partial(by_tarfile, path["tar"], "r:")},
        "tgz": {"tarfile": partial(by_tarfile, path["tgz"], "r:gz")},
        "zip": {"zipfile": partial(by_zipfile, path["zip"])},
        "parquet": {"pyarrow": partial(by_pyarrow, path["parquet"])},
        "arrow": {"pyarrow": partial(by_pyarrow, path["arrow"])},
    }
    if installed("webdataset"):
        for form in ("tar", "tgz"):
            found[form]["webdataset"] = partial(by_webdataset, path[form])
    return found


def main() -> None:
    report = Report.from_arguments("the same photos in a folder, in archives and in tables")
    pictures = QUICK if report.quick else PICTURES
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as temporary:
        folder = Path(temporary)
        sources = write(folder, pictures)
        size = size_of(sources["folder"])
        print(f"{pictures} photos, {size / pictures / 1000:.1f} KB on average")
        small_files(report, folder, 10 * pictures)
        for form, others in peers(sources).items():
            lanes: dict[str, Lane] = {"tamis": partial(index_and_read, sources[form]), **others}
            report.check(f"{form}: all lanes read the same bytes", {lane() for lane in lanes.values()} == {size})
            report.time(f"index and read, {form}", lanes, work=pictures, unit="photos", runs=5)
        whole_runs(report, sources, folder)


def small_files(report: Report, folder: Path, members: int) -> None:
    """Time the index alone, of members of 100 bytes."""
    places = {"tar": folder / "many.tar", "zip": folder / "many.zip"}
    empty = folder / "100"
    empty.write_bytes(bytes(100))
    with tarfile.open(places["tar"], "w") as tar, zipfile.ZipFile(places["zip"], "w") as archive:
        for number in range(members):
            tar.add(empty, name := f"{number // 1000:03d}/photo-{number:06d}.jpg")
            archive.write(empty, name)
    for form, peer in (("tar", names_by_tarfile), ("zip", names_by_zipfile)):
        (file,) = list_source(places[form]).files
        lanes: dict[str, Lane] = {"tamis": partial(count, file, folder / "unpacked"), f"{form}file": partial(peer, places[form])}
        report.check(f"index of a {form}: every member is found", {lane() for lane in lanes.values()} == {members})
        report.time(f"index, {form}", lanes, work=members, unit="members", runs=5)


def count(file: SourceFile, target: Path) -> int:
    found = index_archive(file, target)
    assert isinstance(found, Indexed)
    return len(found.files)


def whole_runs(report: Report, sources: dict[str, Path], folder: Path) -> None:
    """Clean every form, with output in the same shape, and say how fast and in how much memory."""
    bench_memory.run(sources["folder"], folder / "out-first")
    counts = set()
    for form, source in sources.items():
        peaks, manifest, seconds = bench_memory.run(source, folder / f"out-{form}")
        told = manifest["counts"]
        assert isinstance(told, dict)
        counts.add((told["read"], told["kept"]))
        rate = told["read"] / seconds
        print(f"clean, {form:8s} {told['read']:6d} records {seconds:6.1f} s {rate:7.0f} records/s", end="   ")
        print(f"parent {peaks.parent / 1e6:4.0f} MB   largest worker {peaks.worker / 1e6:4.0f} MB")
        shutil.rmtree(folder / f"out-{form}")
    report.check("every form gives the same counts", len(counts) == 1)


if __name__ == "__main__":
    main()
