"""Data: every source behind `load`, with random access to uint8 images; `tfade.data.pipeline` makes batches of it."""

from tfade.data.loading import load, load_if_there
from tfade.data.source import SPLITS, ArraySource, Source

__all__ = ["SPLITS", "ArraySource", "Source", "load", "load_if_there"]
