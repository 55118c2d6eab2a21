"""Bring columns and pictures to a common scale, with fits that are exact and do not depend on order, batches or threads."""

from tamis.normalizer.estimator import Normalizer
from tamis.normalizer.methods import METHODS, Method, Parameters, Power

__all__ = ["METHODS", "Method", "Normalizer", "Parameters", "Power"]
