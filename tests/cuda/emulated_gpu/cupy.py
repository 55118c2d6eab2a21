"""Found as CuPy by a process that has this folder on its path, and with it a GPU: the emulator, whose stand-in takes this module's place.

So have the worker processes of a run, which are programs of their own, where their parent has it; and any program that is started with
`PYTHONPATH=tests/cuda/emulated_gpu` and `.venv-cuda/bin/python`, as `bench/gpu.sh`.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))  # the emulator's

from emulator import install  # noqa: F401
