"""Bring columns and pictures to a common scale, with fits that are exact and do not depend on order, batches or threads."""

from tamis.normalizer.estimator import Normalizer
from tamis.normalizer.groups import GroupNormalizer
from tamis.normalizer.methods import METHODS, Known, Method, Parameters, Power, Spread
from tamis.normalizer.parquet import fit_parquet, normalize_parquet, transform_parquet
from tamis.normalizer.pictures import PictureNormalizer
from tamis.normalizer.windows import WindowNormalizer, flat_windows

__all__ = [
    "METHODS",
    "GroupNormalizer",
    "Known",
    "Method",
    "Normalizer",
    "Parameters",
    "PictureNormalizer",
    "Power",
    "Spread",
    "WindowNormalizer",
    "fit_parquet",
    "flat_windows",
    "normalize_parquet",
    "transform_parquet",
]
