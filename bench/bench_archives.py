"""The same pictures in a folder, a tar, a zip and a Parquet table: records a second and peak memory of whole runs, and of the index alone.

The first container is run once more than counted, so that no process compiles kernels while it is watched.
"""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from pathlib import Path

import bench_memory
import corpora
import pyarrow as pa
import pyarrow.parquet as pq
from harness import Report

from tamis.sources.listing import Container
from tamis.sources.tars import index_tar
from tamis.sources.zips import index_zip

PICTURES, QUICK = 1_500, 100


def write(folder: Path, pictures: int) -> dict[str, Path]:
    """Write the same pictures in every form, each in a folder of its own."""
    sources = {name: folder / name for name in ("folder", "tar", "zip", "parquet")}
    corpora.write("JPEG", sources["folder"], pictures)
    files = sorted(path for path in sources["folder"].rglob("*") if path.is_file())
    names = [path.relative_to(sources["folder"]).as_posix() for path in files]
    for name in ("tar", "zip", "parquet"):
        sources[name].mkdir()
    with tarfile.open(sources["tar"] / "a.tar", "w") as tar:
        for path, name in zip(files, names, strict=True):
            tar.add(path, name)
    with zipfile.ZipFile(sources["zip"] / "a.zip", "w") as archive:
        for path, name in zip(files, names, strict=True):
            archive.write(path, name)
    rows = [{"bytes": path.read_bytes(), "path": name} for path, name in zip(files, names, strict=True)]
    pq.write_table(pa.table({"image": rows}), sources["parquet"] / "a.parquet", row_group_size=100)
    return sources


def container(path: Path) -> Container:
    status = path.stat()
    return Container(path.name, str(path), status.st_size, status.st_mtime_ns, "zip" if path.suffix == ".zip" else "tar")


def names_by_tarfile(path: str) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def names_by_zipfile(path: str) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def main() -> None:
    report = Report.from_arguments("pictures in a folder, a tar, a zip and a Parquet table")
    pictures = QUICK if report.quick else PICTURES
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as temporary:
        folder = Path(temporary)
        sources = write(folder, pictures)
        tar, archive = container(sources["tar"] / "a.tar"), container(sources["zip"] / "a.zip")
        report.check("tar: every member is a record", len(index_tar(tar).files) == pictures)
        report.check("zip: every member is a record", len(index_zip(archive).files) == pictures)
        index = {"tamis, tar": lambda: index_tar(tar), "tarfile": lambda: names_by_tarfile(tar.path)}
        report.time("index of a tar", index, work=pictures, unit="members", runs=5)
        listed = {"tamis, zip": lambda: index_zip(archive), "zipfile": lambda: names_by_zipfile(archive.path)}
        report.time("index of a zip", listed, work=pictures, unit="members", runs=5)
        bench_memory.run(sources["folder"], folder / "out-first")
        counts = set()
        for name, source in sources.items():
            peaks, manifest, seconds = bench_memory.run(source, folder / f"out-{name}")
            told = manifest["counts"]
            assert isinstance(told, dict)
            counts.add((told["read"], told["kept"]))
            rate = told["read"] / seconds
            print(f"{name:8s} {told['read']:6d} records {rate:8.0f} records/s   parent {peaks.parent / 1e6:5.0f} MB", end="   ")
            print(f"largest worker {peaks.worker / 1e6:5.0f} MB")
        report.check("every form gives the same counts", len(counts) == 1)


if __name__ == "__main__":
    main()
