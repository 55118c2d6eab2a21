"""Runs compiled CUDA kernels on a processor: the PTX that NVIDIA's compiler makes for a GPU, instruction by instruction.

Numba's simulator runs a kernel's Python, whose integers have no width and whose arrays know their shape. A GPU runs PTX: this package
reads it (`ptx`), turns it into machine code of this processor by LLVM (`lowering`), and runs grids of it (`grid`), so that the tests of the
kernels see the types, the address arithmetic, the rounding and the layout of shared memory that a GPU would see. Each access is held to
the arrays that the kernel was given, and two threads that touch the same place between barriers are told, as compute-sanitizer's memcheck
and racecheck do. `card` stands for CuPy, and is as strict about arrays of the host. `install` puts both into their places: as a plugin of
pytest, or imported by `../emulated_gpu/cupy.py` where a program, such as a worker process of a run, has that folder on its path; `journal`
tells a test what happened there, and `kept` spares it compiling what another process has compiled. `counts` counts instead of checking.

What ptxas does behind PTX, warps that run in step, caches and time are not here.
"""
