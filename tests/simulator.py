"""Numba's CUDA simulator without its waits.

The simulator starts a thread of the operating system for each CUDA thread and asks all of them in a busy loop whether they wait at a
barrier, which takes most of its time. Here CUDA threads run one at a time, on one such thread until one of them waits, and those that
wait are woken upwards and downwards in turns, so that a missing barrier shows whichever way the data flow. Kernels get NumPy's arrays
as they are: the simulator's wrappers look up each `shape` among all attributes.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numba.cuda.simulator import kernel
from numba.cuda.simulator.kernelapi import Dim3


def taken() -> threading.Lock:
    """Return a lock that whoever acquires it waits for, once for each time that another thread lets go of it."""
    lock = threading.Lock()
    lock.acquire()
    return lock


class Lane(threading.Thread):
    """Runs CUDA threads of a block one after another, until there is no other or the block waits for them."""

    def __init__(self, block: Block, index: tuple[int, ...]) -> None:
        super().__init__(daemon=True)
        self.block, self.blockIdx = block, Dim3(*index)
        self.go_on = taken()

    def run(self) -> None:
        block = self.block
        try:
            for point in block.points:
                self.threadIdx = Dim3(*point)
                block.function()  # type: ignore[no-untyped-call]
            block.begun = True
        except BaseException as error:
            block.error = block.error or error
        block.stopped.release()

    def syncthreads(self) -> None:
        self.block.waiting.append(self)
        self.block.stopped.release()
        self.go_on.acquire()
        if self.block.error:
            raise self.block.error

    def syncthreads_or(self, vote: object) -> int:
        self.block.votes[tuple(self.threadIdx)] = vote
        self.syncthreads()
        return int(self.block.voted)


class Block(kernel.BlockManager):  # type: ignore[misc]  # untyped
    """A block whose CUDA threads run one at a time."""

    def run(self, index: tuple[int, ...], *arguments: Any) -> None:
        self.points = iter(np.ndindex(*self._block_dim))
        self.function = lambda: self._f(*arguments)
        self.votes = np.zeros(self._block_dim, bool)
        self.waiting: list[Lane] = []
        self.error: BaseException | None = None
        self.begun = False  # all CUDA threads are
        self.stopped = taken()  # let go of when the lane that ran has ended or waits
        while not self.begun and not self.error:
            Lane(self, index).start()
            self.stopped.acquire()
        while self.waiting:
            lanes, self.waiting = self.waiting[::-1], []
            self.voted = self.votes.any()  # some may vote again before others have asked
            for lane in lanes:
                lane.go_on.release()
                self.stopped.acquire()
        if self.error:
            raise self.error


def install() -> None:
    """Let all kernels run this way."""
    kernel.BlockManager = Block
    kernel.FakeWithinKernelCUDAArray = lambda wrapped: wrapped._ary
