"""The specification of a data set's examples, and a batch of them."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tfade.errors import UsageError

if TYPE_CHECKING:
    import tensorflow as tf  # seconds to import, which reading data does not need


@dataclasses.dataclass(frozen=True)
class Spec:
    """The examples of a data set, as far as a model has to know them when it is built.

    Attributes:
        name: the name that `tfade.data.load` was given, such as "color_digits".
        split: "train", "validation" or "test".
        shape: (height, width, channels) of an image, or (dimensions,) of a vector.
        dtype: "uint8" for images, "float32" for vectors.
        value_range: smallest and largest possible value, (0, 255) for images; None where unbounded.
        num_classes: number of label values, or None for data without labels.
        num_examples: number of examples in this split, or None where it is not known.
        preprocessing: what `load` did to the stored images, such as "centre crop 140, bicubic resize to 64", and how
            the split was carved; "" for nothing. Likelihoods of one set under different preprocessing are of different
            data.
        stacked: whether three grey images were drawn into the colour channels.
        other: the second domain of a model that translates between two, or None.
    """

    name: str
    split: str
    shape: tuple[int, ...]
    dtype: str
    value_range: tuple[float, float] | None
    num_classes: int | None = None
    num_examples: int | None = None
    preprocessing: str = ""
    stacked: bool = False
    other: "Spec | None" = None

    @classmethod
    def of_shape(cls, shape: Sequence[int]) -> "Spec":
        """The specification of unnamed training data: uint8 images (H, W, C) or float32 vectors (D,).

        Raises:
            UsageError: `shape` is neither, or has a size below 1.
        """
        shape = tuple(int(size) for size in shape)
        if len(shape) not in (1, 3) or min(shape) < 1:
            raise UsageError(f"shape={shape} does not fit examples; give (height, width, channels) or (dimensions,)")
        is_image = len(shape) == 3
        return cls("unnamed", "train", shape, "uint8" if is_image else "float32", (0, 255) if is_image else None)

    @classmethod
    def from_dict(cls, fields: Mapping) -> "Spec":
        """The inverse of `to_dict`.

        Raises:
            UsageError: a field is unknown or missing.
        """
        known = {field.name: field.default is dataclasses.MISSING for field in dataclasses.fields(cls)}
        required = {name for name, is_required in known.items() if is_required}
        if not isinstance(fields, Mapping) or not required <= set(fields) <= set(known):
            raise UsageError(
                f"spec={fields!r} is not the record of a data set; it needs {', '.join(sorted(required))} "
                f"and may have {', '.join(sorted(set(known) - required))}"
            )
        pairs = {name: None if fields[name] is None else tuple(fields[name]) for name in ("shape", "value_range")}
        other = fields.get("other")
        return cls(**{**fields, **pairs, "other": None if other is None else cls.from_dict(other)})

    def to_dict(self) -> dict:
        """The fields as literals that gin can record; a second domain is a dict of its own."""
        return dataclasses.asdict(self)

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 3

    @property
    def dimensions(self) -> int:
        """Dimensions of one example: height · width · channels of an image."""
        return math.prod(self.shape)


class Batch(NamedTuple):
    """Examples of one batch, and what belongs to each. A model gets the fields that it asks for; the others are None.

    Attributes:
        images: uint8 [batch, H, W, C], or float32 vectors [batch, D].
        labels: int32 [batch] in [0, num_classes).
        index: int64 [batch], position of each example in the data set, in [0, num_examples).
        other: examples of the second domain, uint8 [batch, ...]; they are not paired with `images`.
    """

    images: "tf.Tensor"
    labels: "tf.Tensor | None" = None
    index: "tf.Tensor | None" = None
    other: "tf.Tensor | None" = None

    @classmethod
    def of(cls, data) -> "Batch":
        """A batch from a tensor (images alone), a dict of fields as the pipeline yields it, or a batch.

        Raises:
            UsageError: the dict has an unknown field, or no images.
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            return cls(data)
        if "images" not in data or not set(data) <= set(cls._fields):
            raise UsageError(
                f"a batch has the fields {', '.join(data) or '(none)'}; "
                f"it needs images and may have {', '.join(cls._fields[1:])}"
            )
        return cls(**data)

    @property
    def size(self) -> "tf.Tensor":
        """Number of examples, a scalar int32 tensor."""
        import tensorflow as tf

        return tf.shape(self.images)[0]
