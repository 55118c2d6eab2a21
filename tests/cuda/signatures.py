"""The types that every CUDA kernel is compiled for, by operation and name, and by a third word where there are several."""

from __future__ import annotations

from numba import types

u8, i64 = types.uint8[::1], types.int64[::1]
u32, u64, f64 = types.uint32[::1], types.uint64[::1], types.float64[::1]
flags, scalar = types.boolean[::1], types.int64
u32_table, u64_table = types.uint32[:, ::1], types.uint64[:, ::1]

SIGNATURES: dict[tuple[str, ...], tuple[types.Type, ...]] = {
    ("bands", "band_keys"): (u32_table, scalar, u64_table),
    ("components", "climb"): (i64, i64),
    ("components", "hook"): (i64, i64, i64),
    ("fss", "sketch"): (u64, i64, u64, u32, u32, u32_table),
    ("jaccard", "similarities"): (u32, i64, i64, i64, f64),
    ("minhash", "lower"): (u32, i64, i64, i64, u32, u32, u32_table),
    ("ngram_keys", "chain_words"): (u64, i64, i64, scalar, u64),
    ("ngram_keys", "key_grams"): (u8, i64, i64, i64, i64, scalar, u64),
    ("ngram_keys", "key_spans"): (u8, i64, i64, u64),
    ("ngrams", "copy_words"): (u8, i64, i64, i64, u8),
    ("ngrams", "hash_grams"): (u8, i64, i64, i64, i64, scalar, u32),
    ("ngrams", "mark_units"): (u8, i64, flags, scalar, u8, u8),
}
