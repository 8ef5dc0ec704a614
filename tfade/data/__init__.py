"""Data sets behind `load`, with random access to their examples; `tfade.data.pipeline` makes batches of them."""

from tfade.data.loading import load, load_if_there
from tfade.data.source import SPLITS, ArraySource, Source

__all__ = ["SPLITS", "ArraySource", "Source", "load", "load_if_there"]
