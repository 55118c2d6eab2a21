"""What this machine offers, for `tamis doctor`."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

import tamis
from tamis.executors import cores

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGES = (
    "numpy",
    "numba",
    "llvmlite",
    "polars",
    "pyarrow",
    "xxhash",
    "pillow",
    "simplejpeg",
    "cupy-cuda13x",
    "numba-cuda",
    "datasketch",
)
_SIMD = ("sse4_2", "avx2", "avx512f", "avx512bw", "avx512_vpopcntdq", "neon", "asimd", "sve")


def examine() -> dict[str, str]:
    """Return what is here, one line a thing."""
    from tamis_kernels import doctor
    from tamis_kernels.crossovers import processor

    backends, flags = doctor(), _flags()
    report = {
        "tamis": tamis.__version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": f"{cores()} of {os.cpu_count()} usable",
        "memory": _memory(),
        "simd": ", ".join(flag for flag in _SIMD if flag in flags) or "none found",
        "backend auto": backends["auto in a run"],
        **({"auto in a call": backends["auto"]} if backends["auto"] != backends["auto in a run"] else {}),
        "backend cpu": backends["cpu"],
        "backend cuda": backends["cuda"],
    }
    for package in _PACKAGES:
        try:
            report[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            report[package] = "not installed"
    return report


def measure_backends(say: Callable[[str], None]) -> dict[str, Any]:
    """Time kernels on GPU and CPU, let `auto` go by it from now on, and return what was found; the table is said line by line."""
    from tamis_kernels.measure import auto, keep, measure

    found = measure(say)
    file = str(keep(found))
    say(f"kept in {file}")
    say(auto())
    crossovers = {"call": found.crossovers(run=False), "run": found.crossovers(run=True)}
    return {"file": file, "crossovers": crossovers, **found.to_json()}


def _flags() -> set[str]:
    from tamis_kernels.crossovers import cpuinfo

    return set((cpuinfo("flags") or cpuinfo("Features")).split())


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"
    except (ValueError, OSError):
        return "unknown"
