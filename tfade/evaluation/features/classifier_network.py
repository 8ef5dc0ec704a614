"""The feature network of the classifier and its training: seeded, so the same data give the same weights on a CPU."""

import keras
import numpy as np
import tensorflow as tf

from tfade.data.pipeline import BatchOrder
from tfade.data.source import Source
from tfade.fitting import by_batches, fit, minimise

NUM_FEATURES = 64
DESIGN = 1  # raise it when the network or its training changes: cached classifiers of another design are not used
_SHIFT, _ROTATION, _SCALE = 0.1, 0.2, 0.1  # of the side, radians, and natural log: largest augmentation


def build_network(shape: tuple[int, int, int], num_classes: int, seed: int) -> keras.Model:
    """Images in [0, 1], float32 [N, *shape] → (features [N, 64], logits [N, num_classes]).

    Two convolutions at each of two resolutions, and one hidden layer: the features.
    Larger images are first brought to at most 16×16 by strided convolutions.
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))
    # float32 is stated everywhere: the caller's global dtype policy must not change the extractor.
    kinds = {"dtype": "float32"}

    def convolution(x, filters, strides):
        initializer = keras.initializers.HeNormal(seed=next(seeds))
        x = keras.layers.Conv2D(filters, 3, strides, "same", use_bias=False, kernel_initializer=initializer, **kinds)(x)
        return keras.layers.ReLU(**kinds)(keras.layers.BatchNormalization(momentum=0.9, **kinds)(x))

    images = keras.Input(shape, dtype="float32")
    x, side = images, max(shape[:2])
    while side > 16:
        x, side = convolution(x, 32, 2), -(-side // 2)
    for filters in (32, 64):
        x = convolution(convolution(x, filters, 1), filters, 2)
    x = keras.layers.Dropout(0.3, seed=next(seeds), **kinds)(keras.layers.Flatten(**kinds)(x))
    initializer = keras.initializers.HeNormal(seed=next(seeds))
    features = keras.layers.Dense(NUM_FEATURES, "relu", kernel_initializer=initializer, **kinds)(x)
    initializer = keras.initializers.GlorotUniform(seed=next(seeds))
    logits = keras.layers.Dense(num_classes, kernel_initializer=initializer, **kinds)(features)
    return keras.Model(images, (features, logits))


def train_network(
    network: keras.Model, train: Source, *, steps: int, batch_size: int, learning_rate: float, seed: int, progress
):
    """Minimises cross-entropy by Adam with a cosine schedule on shifted, rotated and scaled images.

    Args:
        network: of `build_network`; trained in place.
        train: labelled uint8 images.
        steps, batch_size, learning_rate, seed: of `train_classifier`.
        progress: receives lines of text.
    """
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps))
    height, width, channels = train.spec.shape

    @tf.function(
        input_signature=[
            tf.TensorSpec((batch_size, height, width, channels), tf.uint8),
            tf.TensorSpec((batch_size, 8), tf.float32),
            tf.TensorSpec((batch_size,), tf.int32),
        ],
        autograph=False,
    )
    def step(images, transforms, labels):
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(images, tf.float32) / 255,
            transforms=transforms,
            output_shape=(height, width),
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        )

        def terms():
            _, logits = network(moved, training=True)
            return {"loss": tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))}

        return minimise(terms, optimizer, network.trainable_variables)

    order = BatchOrder(train.spec.num_examples, batch_size, seed)
    generator = np.random.Generator(np.random.Philox(key=seed))

    def batch(position):
        chosen = order.indices(order.positions(position, 0, batch_size))[:, 0]
        return train.fetch(chosen), random_transforms(generator, batch_size, height, width), train.labels(chosen)

    fit(by_batches(step, batch), steps, name="classifier", progress=progress, learning_rate=learning_rate)


def random_transforms(generator: np.random.Generator, count: int, height: int, width: int) -> np.ndarray:
    """Small random rotations, scalings and shifts about the centre, as ImageProjectiveTransformV3 wants: [count, 8]."""
    angle = generator.uniform(-_ROTATION, _ROTATION, count)
    scale = np.exp(generator.uniform(-_SCALE, _SCALE, (count, 2)))
    shift = generator.uniform(-_SHIFT, _SHIFT, (count, 2)) * (width, height)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    matrix = rotation * scale[:, None, :]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre - matrix @ centre + shift
    affine = np.concatenate([matrix, offset[..., None]], axis=2).reshape(count, 6)
    return np.concatenate([affine, np.zeros((count, 2))], axis=1).astype(np.float32)
