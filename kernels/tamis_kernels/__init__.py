"""The fast half of tamis: one folder per operation, each with a reference, a CPU and a CUDA implementation.

It needs numpy and numba only (and, for CUDA, cupy and numba-cuda), and never imports `tamis`, so that it runs on a bare GPU machine.

    operation/
        __init__.py     the public function: checks arguments (`arrays.py`), allocates, picks the backend (`backend.py`)
        reference.py    plain NumPy and Python: the definition of right
        cpu.py          Numba, parallel, without the GIL
        cuda.py         Numba and CuPy on a GPU; imported only when asked for
"""

from typing import TYPE_CHECKING, Any

from tamis_kernels.errors import ArgumentError, BackendUnavailableError, KernelError

if TYPE_CHECKING:
    from tamis_kernels.backend import Backend, doctor, resolve, resolve_for_run

__all__ = ["ArgumentError", "Backend", "BackendUnavailableError", "KernelError", "doctor", "resolve", "resolve_for_run"]


def __getattr__(name: str) -> Any:
    """Import what decides where kernels run when it is asked for: it loads Numba, and who looks at an error needs none."""
    if name not in __all__:
        message = f"module 'tamis_kernels' has no attribute {name!r}"
        raise AttributeError(message)
    from tamis_kernels import backend

    return getattr(backend, name)
