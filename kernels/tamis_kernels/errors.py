"""What a kernel can raise, and the root of what tamis can; `tamis.errors` has the whole tree.

TamisError
└── KernelError
    ├── ArgumentError             an argument is wrong; also a ValueError and a TypeError
    └── BackendUnavailableError   the backend asked for cannot run here
"""


class TamisError(Exception):
    """Root of all errors that tamis raises on purpose."""


class KernelError(TamisError):
    """Root of all errors that `tamis_kernels` raises on purpose."""


class ArgumentError(KernelError, ValueError, TypeError):
    """An argument has the wrong value, dtype or shape; the message gives the value and the remedy."""


class BackendUnavailableError(KernelError, RuntimeError):
    """The backend asked for by name cannot run on this machine; the message says what to install."""
