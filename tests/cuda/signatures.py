"""The types that every CUDA kernel is compiled for, by operation and name, and by a third word where there are several."""

from __future__ import annotations

from typing import Any

from numba import types

from tamis_kernels.hamming.layout import Piece, Search
from tamis_kernels.jpeg.header import Frame
from tamis_kernels.jpeg.lane import Batch, Lane
from tamis_kernels.sensor.layout import Levels, Rows

u8, i64 = types.uint8[::1], types.int64[::1]
u32, u64, f64 = types.uint32[::1], types.uint64[::1], types.float64[::1]
flags, scalar = types.boolean[::1], types.int64
u32_table, u64_table = types.uint32[:, ::1], types.uint64[:, ::1]
i32, i32_table, flag_table = types.int32[::1], types.int32[:, ::1], types.boolean[:, ::1]
named: Any = types.NamedTuple
several: Any = types.Tuple
piece = named((u64_table, u64_table, i32, i32, i32, i32, i32, scalar, scalar), Piece)
search = named((scalar, flag_table, types.int64[:, ::1], scalar, i32, scalar), Search)
comparison = (piece, piece, search, scalar, scalar, scalar, u64, i32, i64)
f32, f32_table, f64_table, i64_table = types.float32[::1], types.float32[:, ::1], types.float64[:, ::1], types.int64[:, ::1]
number, flag, word = types.float64, types.boolean, types.uint64
cube = types.int64[:, :, ::1]
frames = named(
    (cube, cube, types.uint8[:, :, ::1], flag_table, types.int64[:, :, :, ::1], types.int16[:, ::1], i32_table, cube, cube), Frame
)
lanes = named((i64_table, frames, u8, i64, i32, u64_table, cube, i64_table, i32, i64), Lane)
walking = named((u8, i64, i64_table, lanes, u8, i64, i64, i64, i64, i64), Batch)
u8_table = types.uint8[:, ::1]
weighing = (i64_table, i64_table, i32_table, types.int32[:, :, ::1], i32_table)
described = (scalar, i64, i64_table, i64_table, *weighing, types.uint64[:, :, ::1], u8, u8_table)
states = (f64_table, i64_table)
limits = several((number,) * 15)
levels = named((number,) * 16 + (scalar,) * 12, Levels)


def rows(value: types.Type) -> Any:
    """Return the type of rows whose values have this one."""
    return named((i64, value, u8, f64), Rows)


SIGNATURES: dict[tuple[str, ...], tuple[types.Type, ...]] = {
    ("affine", "divide", "f32"): (f32, f32, f32, f32),
    ("affine", "divide", "f64"): (f64, f64, f64, f64),
    ("affine", "look_up"): (u8_table, f32_table, f32_table),
    ("affine", "multiply", "f32"): (f32, f32, f32, f32),
    ("affine", "multiply", "f64"): (f64, f64, f64, f64),
    ("bands", "band_keys"): (u32_table, scalar, u64_table),
    ("components", "climb"): (i64, scalar, i64),
    ("components", "hook"): (i64, scalar, i64, i64),
    ("fss", "sketch", "u32"): (u32, i64, scalar, u64, u32, u32, u32_table),
    ("fss", "sketch", "u64"): (u64, i64, scalar, u64, u32, u32, u32_table),
    ("fss", "sketch_part", "u32"): (u32, i64, i64, i64, scalar, u64, u32, u32, u32_table, u32_table),
    ("fss", "sketch_part", "u64"): (u64, i64, i64, i64, scalar, u64, u32, u32, u32_table, u32_table),
    ("hamming", "compare_buckets"): comparison,
    ("hamming", "compare_one_word"): comparison,
    ("hamming", "compare_two_words"): comparison,
    ("hamming", "measure_rows"): (u64_table, u64_table, i32),
    ("histogram", "count_pixels"): (u8, scalar, scalar, i64),
    ("histogram", "count_values", "f32"): (f32, f64, scalar, i64),
    ("histogram", "count_values", "f64"): (f64, f64, scalar, i64),
    ("jaccard", "similarities"): (u32, i64, i64, i64, f64),
    ("jpeg", "find_seams"): (walking,),
    ("jpeg", "find_seams_together"): (walking, i64),
    ("jpeg", "open_scans"): (walking, u64, flags, scalar),
    ("jpeg", "read_headers"): (u8, i64, i64_table, frames),
    ("jpeg", "walk_intervals"): (walking, i64),
    ("jpeg", "walk_scans"): (walking, i64),
    ("jpeg", "walk_together"): (walking, i64, scalar),
    ("minhash", "lower"): (u32, i64, u32, u32, u32_table),
    ("moments", "add_steps", "f32"): (f32, scalar, number, number, number, number, i64, i64, i64),
    ("moments", "add_steps", "f64"): (f64, scalar, number, number, number, number, i64, i64, i64),
    ("moments", "sum_long"): (f64, scalar, scalar, i64_table, i64_table, i64_table, i64_table),
    ("moments", "sum_short"): (f32, scalar, scalar, i64_table, i64_table, i64_table, i64_table),
    ("ngram_keys", "chain_words"): (u64, i64, i64, scalar, u64),
    ("ngram_keys", "key_grams"): (u8, i64, i64, i64, i64, scalar, u64),
    ("ngram_keys", "key_spans"): (u8, i64, i64, u64),
    ("ngrams", "copy_words"): (u8, i64, i64, i64, u8),
    ("ngrams", "hash_grams"): (u8, i64, i64, i64, i64, scalar, u32),
    ("ngrams", "mark_units"): (u8, i64, flags, scalar, u8, u8),
    ("perceptual", "correlate_pairs"): (u8_table, u8_table, f64),
    ("perceptual", "hash_pictures", "u16"): (types.uint16[::1], *described),
    ("perceptual", "hash_pictures", "u8"): (u8, *described),
    ("perceptual", "hash_squares"): (types.uint8[:, :, ::1], i32_table, u64),
    ("perceptual", "part_hashes"): (u64_table, u64_table),
    ("perceptual", "transpose_hashes"): (u64_table, u64_table),
    ("perceptual", "turn_hashes"): (u64_table, types.uint64[:, :, ::1]),
    ("png", "take_levels"): (u8_table, scalar, scalar, scalar, i64, types.uint32[:, :, ::1], u8_table),
    ("png", "undo"): (u8_table, i64, scalar, u8_table),
    ("quality", "measure_pictures"): (u8, u8, i64, i64_table, i64, i64, i64, i64_table),
    ("quantiles", "count_digits", "f32"): (u32, u64, scalar, scalar, i64),
    ("quantiles", "count_digits", "f64"): (u64, u64, scalar, scalar, i64),
    ("quantiles", "count_leading", "f32"): (u32, i64),
    ("quantiles", "count_leading", "f64"): (u64, i64),
    ("quantiles", "mark", "f32"): (u32, u64, scalar, flags),
    ("quantiles", "mark", "f64"): (u64, u64, scalar, flags),
    ("ranks", "find_quantile", "f32"): (f32, f64, flag, f32),
    ("ranks", "find_quantile", "f64"): (f64, f64, flag, f64),
    ("ranks", "place", "f32"): (f32, f64, flag, f32),
    ("ranks", "place", "f64"): (f64, f64, flag, f64),
    ("symbols", "write_words"): (f64, i64, types.int32, limits, number, u8),
    ("viterbi", "find_ways"): (f64, flags, number, number, number, number, number, number, f64, u8),
    ("viterbi", "follow"): (u8, u8),
    ("sensor", "hand_on", "f32"): (rows(f32), i64, i64, levels, *states, f64_table, *states),
    ("sensor", "hand_on", "f64"): (rows(f64), i64, i64, levels, *states, f64_table, *states),
    ("sensor", "identify"): (f64, scalar, scalar, number, number, u8),
    ("sensor", "look_ahead", "f32"): (rows(f32), i64, levels, *states, f64_table),
    ("sensor", "look_ahead", "f64"): (rows(f64), i64, levels, *states, f64_table),
    ("sensor", "test_rows", "f32"): (rows(f32), i64, i64, i64, scalar, levels, *states, u32, u8),
    ("sensor", "test_rows", "f64"): (rows(f64), i64, i64, i64, scalar, levels, *states, u32, u8),
    ("windows", "describe_windows", "f32"): (f32, i64, scalar, i64_table, f64_table),
    ("windows", "describe_windows", "f64"): (f64, i64, scalar, i64_table, f64_table),
    ("xxh3", "hash_long"): (u8, i64, i64, u64_table),
    ("xxh3", "hash_short"): (u8, i64, u64_table),
    ("yeo_johnson", "invert", "f32"): (f32, number, f64),
    ("yeo_johnson", "invert", "f64"): (f64, number, f64),
    ("yeo_johnson", "take_logs", "f32"): (f32, f64),
    ("yeo_johnson", "take_logs", "f64"): (f64, f64),
    ("yeo_johnson", "take_powers"): (f64, number, f64),
}
