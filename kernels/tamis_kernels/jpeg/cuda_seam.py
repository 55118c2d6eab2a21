"""The seam test of a long file by a block of threads: a row of MCUs a thread, by the functions of the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import cuda, int64

from tamis_kernels.jpeg import layout as the
from tamis_kernels.jpeg.cpu import enter_seam, leave
from tamis_kernels.jpeg.cuda_lane import TO_JUDGE, UNDER_WAY, lane_of, spans_of
from tamis_kernels.jpeg.header import ACROSS, DOWN, HIGH, NOTHING, ORIGIN, WIDE
from tamis_kernels.jpeg.lane import COLUMNS, FILE, PARTS, SLOTS, STEP, TOTAL, Batch, Lane, signed
from tamis_kernels.jpeg.seam import best_of, measure, suspects

if TYPE_CHECKING:
    from tamis_kernels.types import Int64s, Uint8s

ROWS = 32  # threads of a block, each of which needs room for an MCU row


@cuda.jit
def find_seams_together(batch: Batch, files: Int64s) -> None:
    """Look for a seam in the whole scan of a file a block, and go on to the scan's end."""
    places = cuda.shared.array(ROWS, int64)
    scores = cuda.shared.array(ROWS, int64)
    i, thread = files[cuda.blockIdx.x], np.int64(cuda.threadIdx.x)
    if batch.lanes.state[i, FILE] != TO_JUDGE:
        return
    lane = lane_of(batch, i, batch.lanes.frame.lookup[i])
    file, picture = spans_of(batch, i)
    places[thread], scores[thread] = find_in_rows(lane, picture, thread)
    cuda.syncthreads()
    if thread == 0:
        found, most = signed(NOTHING), signed(0)
        for other in range(ROWS):
            first = scores[other] == most and places[other] < found
            if places[other] != NOTHING and (scores[other] > most or first):
                found, most = places[other], scores[other]
        enter_seam(file, lane, batch.facts[i], found)
        leave(file, lane, batch.facts[i])
        lane.state[FILE] = UNDER_WAY


@cuda.jit(device=True)
def find_in_rows(lane: Lane, planes: Uint8s, thread: int) -> Any:
    """Do what `find_seam` does with every `ROWS`-th row; return the MCU or `NOTHING`, and the score. Some barriers stand in it."""
    state = lane.state
    columns, rows, share = state[COLUMNS], state[TOTAL] // state[COLUMNS], lane.room.size // ROWS
    found, most = signed(NOTHING), signed(the.SEAM_SCORE - 1)
    if min(columns, rows) < the.LEAST_SIDE:
        return found, most
    suspected, sizes, own = lane.room[:rows], lane.room[rows : 2 * rows], lane.room[thread * share : (thread + 1) * share]
    stops, room = own[2 * rows : 2 * rows + columns], own[2 * rows + columns :]
    for row in range(1 + thread, rows, ROWS):
        suspected[row] = 0
    for slot in range(state[SLOTS]):
        if lane.order[slot, 1] == 0 and lane.order[slot, 2] == 0:
            part = lane.frame.components[lane.order[slot, 0]]
            across, down = (part[ACROSS], part[DOWN]) if state[PARTS] > 1 else (1, 1)
            pixels, width = planes[part[ORIGIN] : part[ORIGIN] + part[HIGH] * part[WIDE]], part[WIDE]
            for row in range(1 + thread, rows, ROWS):
                sizes[row] = measure(pixels, width, row * down, lane.jumps[row * width : (row + 1) * width])
            cuda.syncthreads()
            for row in range(1 + thread, rows - 1, ROWS):
                if suspected[row] == 0 and suspects(row, width, across, state[STEP], lane.jumps, sizes, stops, room):
                    suspected[row] = 1
            cuda.syncthreads()
    for row in range(1 + thread, rows - 1, ROWS):
        if suspected[row]:
            found, most = best_of(lane, row, stops, room, found, most)
    return found, most
