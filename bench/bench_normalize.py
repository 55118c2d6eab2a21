"""Fit and transform a table of 16 columns against scikit-learn, one thread; the limit is a copy of the table.

Seconds are those of the processor, so that other programs count less. `out=` writes into memory that is there already, for new memory
costs time of its own. Parquet to Parquet is at the end, against polars in two passes, on all threads and by the clock.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from harness import Report
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

from tamis.normalizer import Normalizer, PictureNormalizer, fit_parquet, normalize_parquet, transform_parquet
from tamis_kernels.moments import accumulate

if TYPE_CHECKING:
    from collections.abc import Callable

    from tamis.normalizer import Method

PEERS: dict[Method, Callable[[], Any]] = {
    "zscore": StandardScaler,
    "minmax": MinMaxScaler,
    "maxabs": MaxAbsScaler,
    "robust": RobustScaler,
    "quantile": QuantileTransformer,
    "yeo_johnson": PowerTransformer,
}
SLOW = {"quantile", "yeo_johnson"}


def processor_seconds(lane: Callable[[], object], runs: int) -> list[float]:
    """Return the seconds that this thread works on each run."""
    lane()
    taken = []
    for _ in range(runs):
        start = time.thread_time()
        lane()
        taken.append(time.thread_time() - start)
    return taken


def rate(gigabytes: float, lane: Callable[[], object], runs: int = 7) -> float:
    """Return GB/s of the median run, by processor time."""
    return gigabytes / float(np.median(processor_seconds(lane, runs)))


def in_memory(report: Report, dtype: type[np.floating[Any]], rows: int) -> None:
    matrix = np.random.default_rng(1).standard_normal((rows, 16)).astype(dtype)
    turned = np.asfortranarray(matrix)
    frame = pl.DataFrame({f"c{i}": matrix[:, i].copy() for i in range(16)})
    again, by_column = np.empty_like(matrix), np.empty_like(turned)
    column = turned[:, 0]
    parts = {
        "copy into new memory": lambda: matrix.copy(),
        "copy into memory used before": lambda: np.copyto(again, matrix),
        "read: moments of the columns alone": lambda: [accumulate(one) for one in turned.T],
        "transform alone, new memory": (lambda fitted: lambda: fitted.transform(turned))(Normalizer().fit(column[:, None].repeat(16, 1))),
        "transform alone, memory used before": (lambda fitted: lambda: fitted.transform(matrix, out=again))(Normalizer().fit(matrix[:99])),
    }
    print(f"{dtype.__name__}, {matrix.nbytes / 1e6:.0f} MB; by processor time, GB/s of input:")
    for name, lane in parts.items():
        print(f"    {name:42s} {rate(matrix.nbytes / 1e9, lane):6.2f}")
    for method, peer in PEERS.items():
        some = matrix if method not in SLOW else matrix[: rows // 10]
        table = frame if method not in SLOW or method == "quantile" else frame.head(rows // 10)
        runs = 7 if method not in SLOW else 3
        ours, theirs = Normalizer(method).fit_transform(some), peer().fit_transform(some)
        near = {"quantile": 0.02, "yeo_johnson": 1e-2}.get(method, 1e-4)  # its QuantileTransformer takes a sample of 10,000 rows
        report.check(f"{method}: equal to scikit-learn to rounding", np.allclose(ours, theirs, rtol=near, atol=near))

        def columns_again(method: Method = method) -> None:
            for source, target in zip(turned.T, by_column.T, strict=True):
                Normalizer(method).fit(source).transform(source, out=target)

        lanes: dict[str, tuple[float, Callable[[], object]]] = {
            "polars columns": (float(table.estimated_size()), lambda method=method, table=table: Normalizer(method).fit_transform(table)),  # type: ignore[misc]
            "row-major matrix": (some.nbytes, lambda method=method, some=some: Normalizer(method).fit_transform(some)),  # type: ignore[misc]
            "scikit-learn": (some.nbytes, lambda peer=peer, some=some: peer().fit_transform(some)),  # type: ignore[misc]
        }
        if method not in SLOW:
            lanes["columns, out= used before"] = (turned.nbytes, columns_again)
        print("    " + f"{method:12s}" + "  ".join(f"{name} {rate(size / 1e9, lane, runs):.3g}" for name, (size, lane) in lanes.items()))


def pictures(report: Report, count: int) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (count, 224, 224, 3), np.uint8)
    fitted = PictureNormalizer().fit(pixels)
    plain = (pixels.astype(np.float32) - fitted.mean_.astype(np.float32)) / fitted.std_.astype(np.float32)
    report.check("pictures: the bits of float32 arithmetic", np.array_equal(fitted.transform(pixels), plain))
    mean, std = fitted.mean_.astype(np.float32), fitted.std_.astype(np.float32)
    report.time(
        f"{count} pictures of 224 x 224",
        {
            "tamis, tables": lambda: fitted.transform(pixels),
            "numpy": lambda: (pixels.astype(np.float32) - mean) / std,
            "tamis, fit": lambda: PictureNormalizer().fit(pixels),
            "numpy, mean and std": lambda: (pixels.mean(axis=(0, 1, 2)), pixels.std(axis=(0, 1, 2))),
        },
        work=pixels.nbytes / 1e6,
        unit="MB",
        runs=3,
    )


def files(report: Report, rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tamis-bench-") as temporary:
        folder = Path(temporary)
        source, out = folder / "in" / "readings.parquet", folder / "out"
        source.parent.mkdir()
        random = np.random.default_rng(3)
        frame = pl.DataFrame({f"c{i}": random.standard_normal(rows).astype(np.float32) for i in range(16)})
        frame.write_parquet(source, compression="uncompressed", row_group_size=1 << 18)
        words = [sys.executable, "-m", "tamis", "clean", str(source.parent), "-o", str(out), "--jobs", "2", "--quiet"]
        words += ["--set", "normalize.method=zscore", "--set", "exact_duplicates.enabled=false", "--set", "output.compression=none"]

        def new(name: str) -> Path:
            """Return where a file is written, which is not there: to replace one takes time of the file system's own."""
            path = folder / f"{name}.parquet"
            path.unlink(missing_ok=True)
            return path

        def clean() -> None:
            shutil.rmtree(out, ignore_errors=True)
            subprocess.run(words, check=True)

        def two_passes() -> None:
            scan = pl.scan_parquet(source)
            found = scan.select(pl.all().mean().name.prefix("m_"), pl.all().std(ddof=0).name.prefix("s_")).collect()
            moved = [(pl.col(name) - found[f"m_{name}"][0]) / found[f"s_{name}"][0] for name in frame.columns]
            scan.with_columns(moved).sink_parquet(new("polars"), compression="uncompressed")

        def by_row_group() -> None:
            transform_parquet(fit_parquet(Normalizer(), source), source, new("tamis"), compression="none")

        def read_once() -> None:
            normalize_parquet(Normalizer(), source, new("once"), memory="1GB", compression="none")

        clean()
        by_row_group()
        read_once()
        report.check("Parquet by row group: the same", pl.read_parquet(folder / "tamis.parquet").equals(Normalizer().fit_transform(frame)))
        report.check("Parquet, read once: the same", pl.read_parquet(folder / "once.parquet").equals(Normalizer().fit_transform(frame)))
        ours = pl.read_parquet(out / "clean" / "tables" / "*" / "*.parquet")
        expected = Normalizer().fit_transform(frame)
        report.check("Parquet: the bits of the fit in memory", ours.equals(expected))
        report.time(
            f"Parquet to Parquet, {frame.estimated_size() / 1e6:.0f} MB",
            {
                "tamis, by row group, 2 threads": by_row_group,
                "tamis, read once": read_once,
                "polars, two passes": two_passes,
                "tamis clean, whole run, 2 workers": clean,
            },
            work=frame.estimated_size() / 1e9,
            unit="GB",
            runs=3,
        )
        manifest = pl.Series([(out / "manifest.json").read_text()]).str.json_path_match("$.timing.stages")[0]
        print(f"{'':28s} seconds by stage: {manifest}")


def main() -> None:
    report = Report.from_arguments((__doc__ or "").splitlines()[0])
    for dtype in (np.float32, np.float64):
        in_memory(report, dtype, 100_000 if report.quick else 2_000_000)
    pictures(report, 8 if report.quick else 128)
    files(report, 200_000 if report.quick else 5_000_000)


if __name__ == "__main__":
    main()
