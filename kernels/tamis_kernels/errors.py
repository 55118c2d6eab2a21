"""What a kernel can raise.

KernelError
├── ArgumentError             an argument is wrong; also a ValueError
└── BackendUnavailableError   the backend asked for cannot run here
"""


class KernelError(Exception):
    """Root of all errors that `tamis_kernels` raises on purpose."""


class ArgumentError(KernelError, ValueError):
    """An argument has the wrong value, dtype or shape; the message gives the value and the remedy."""


class BackendUnavailableError(KernelError, RuntimeError):
    """The backend asked for by name cannot run on this machine; the message says what to install."""
