"""Writes a file of the structure of classify_image_graph_def.pb with random weights, from TensorFlow's operations.

It follows the published graph's node names and knows nothing of the Keras graph that is tested against it.
"""

import numpy as np
import tensorflow as tf


class GraphFile:
    """A frozen graph in the making: nodes by name, as of graph version 8, where its normalisation existed."""

    def __init__(self, seed=0):
        self.graph = tf.compat.v1.GraphDef()
        self.graph.versions.producer = 8
        self.random = np.random.default_rng(seed)
        self.channels = {}

    def node(self, name, op, inputs=(), **attributes):
        made = self.graph.node.add(name=name, op=op)
        made.input.extend(inputs)
        for key, value in attributes.items():
            attribute = made.attr[key]
            if isinstance(value, tf.DType):
                attribute.type = value.as_datatype_enum
            elif isinstance(value, bool):
                attribute.b = value
            elif isinstance(value, float):
                attribute.f = value
            elif isinstance(value, int):
                attribute.i = value
            elif isinstance(value, str):
                attribute.s = value.encode()
            elif isinstance(value, list):
                attribute.list.i.extend(value)
            else:
                attribute.tensor.CopyFrom(tf.make_tensor_proto(value))
        return name

    def constant(self, name, value):
        value = np.asarray(value)
        return self.node(name, "Const", dtype=tf.as_dtype(value.dtype), value=value)

    def conv(self, scope, source, filters, height, width, stride=1, padding="SAME"):
        channels, draw = self.channels[source], self.random
        kernel = draw.normal(0, np.sqrt(2 / (height * width * channels)), (height, width, channels, filters))
        self.constant(f"{scope}/conv2d_params", kernel.astype(np.float32))
        self.node(
            f"{scope}/Conv2D",
            "Conv2D",
            [source, f"{scope}/conv2d_params"],
            T=tf.float32,
            strides=[1, stride, stride, 1],
            padding=padding,
        )
        for part, low, high in (("moving_mean", -0.2, 0.2), ("moving_variance", 0.5, 1.5), ("beta", -0.2, 0.4)):
            self.constant(f"{scope}/batchnorm/{part}", draw.uniform(low, high, filters).astype(np.float32))
        self.constant(f"{scope}/batchnorm/gamma", draw.uniform(0.7, 1.3, filters).astype(np.float32))
        parts = [f"{scope}/batchnorm/{part}" for part in ("moving_mean", "moving_variance", "beta", "gamma")]
        self.node(
            f"{scope}/batchnorm",
            "BatchNormWithGlobalNormalization",
            [f"{scope}/Conv2D", *parts],
            T=tf.float32,
            variance_epsilon=0.001,
            scale_after_normalization=len(self.channels) % 2 == 0,  # the factor is there, used or not
        )
        self.channels[scope] = filters
        return self.node(scope, "Relu", [f"{scope}/batchnorm"], T=tf.float32)

    def pool(self, name, source, op="MaxPool", size=3, stride=2, padding="VALID"):
        self.channels[name] = self.channels[source]
        return self.node(
            name, op, [source], T=tf.float32, ksize=[1, size, size, 1], strides=[1, stride, stride, 1], padding=padding
        )

    def join(self, scope, parts):
        self.channels[f"{scope}/join"] = sum(self.channels[part] for part in parts)
        self.constant(f"{scope}/join/concat_dim", np.int32(3))
        return self.node(f"{scope}/join", "Concat", [f"{scope}/join/concat_dim", *parts], N=len(parts), T=tf.float32)

    def chain(self, scope, source, *sizes):
        for position, (filters, height, width) in enumerate(sizes):
            source = self.conv(f"{scope}/conv" + (f"_{position}" if position else ""), source, filters, height, width)
        return source


def inception_file(path, seed=0):
    """Writes the graph to `path`."""
    g = GraphFile(seed)
    g.node("ExpandDims", "Placeholder", dtype=tf.float32)
    g.constant("ResizeBilinear/size", np.array([299, 299], np.int32))
    g.node("ResizeBilinear", "ResizeBilinear", ["ExpandDims", "ResizeBilinear/size"], T=tf.float32, align_corners=False)
    g.constant("Sub/y", np.float32(128))
    g.node("Sub", "Sub", ["ResizeBilinear", "Sub/y"], T=tf.float32)
    g.constant("Mul/y", np.float32(1 / 128))
    g.node("Mul", "Mul", ["Sub", "Mul/y"], T=tf.float32)
    g.channels["Mul"] = 3
    x = g.conv("conv", "Mul", 32, 3, 3, 2, "VALID")
    x = g.conv("conv_1", x, 32, 3, 3, 1, "VALID")
    x = g.pool("pool", g.conv("conv_2", x, 64, 3, 3))
    x = g.conv("conv_3", x, 80, 1, 1, 1, "VALID")
    x = g.pool("pool_1", g.conv("conv_4", x, 192, 3, 3, 1, "VALID"))
    for name, width in (("mixed", 32), ("mixed_1", 64), ("mixed_2", 64)):
        parts = [
            g.chain(name, x, (64, 1, 1)),
            g.chain(f"{name}/tower", x, (48, 1, 1), (64, 5, 5)),
            g.chain(f"{name}/tower_1", x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
            g.chain(f"{name}/tower_2", g.pool(f"{name}/tower_2/pool", x, "AvgPool", 3, 1, "SAME"), (width, 1, 1)),
        ]
        x = g.join(name, parts)
    inner = g.chain("mixed_3/tower", x, (64, 1, 1), (96, 3, 3))
    x = g.join(
        "mixed_3",
        [
            g.conv("mixed_3/conv", x, 384, 3, 3, 2, "VALID"),
            g.conv("mixed_3/tower/conv_2", inner, 96, 3, 3, 2, "VALID"),
            g.pool("mixed_3/pool", x),
        ],
    )
    for name, w in (("mixed_4", 128), ("mixed_5", 160), ("mixed_6", 160), ("mixed_7", 192)):
        parts = [
            g.chain(name, x, (192, 1, 1)),
            g.chain(f"{name}/tower", x, (w, 1, 1), (w, 1, 7), (192, 7, 1)),
            g.chain(f"{name}/tower_1", x, (w, 1, 1), (w, 7, 1), (w, 1, 7), (w, 7, 1), (192, 1, 7)),
            g.chain(f"{name}/tower_2", g.pool(f"{name}/tower_2/pool", x, "AvgPool", 3, 1, "SAME"), (192, 1, 1)),
        ]
        x = g.join(name, parts)
    first = g.chain("mixed_8/tower", x, (192, 1, 1))
    second = g.chain("mixed_8/tower_1", x, (192, 1, 1), (192, 1, 7), (192, 7, 1))
    x = g.join(
        "mixed_8",
        [
            g.conv("mixed_8/tower/conv_1", first, 320, 3, 3, 2, "VALID"),
            g.conv("mixed_8/tower_1/conv_3", second, 192, 3, 3, 2, "VALID"),
            g.pool("mixed_8/pool", x),
        ],
    )
    for name, kind in (("mixed_9", "AvgPool"), ("mixed_10", "MaxPool")):
        parts = [g.chain(name, x, (320, 1, 1))]
        for tower, sizes in (("tower", [(384, 1, 1)]), ("tower_1", [(448, 1, 1), (384, 3, 3)])):
            scope, inner = f"{name}/{tower}/mixed", g.chain(f"{name}/{tower}", x, *sizes)
            halves = [g.conv(f"{scope}/conv", inner, 384, 1, 3), g.conv(f"{scope}/conv_1", inner, 384, 3, 1)]
            parts.append(g.join(scope, halves))
        parts.append(g.chain(f"{name}/tower_2", g.pool(f"{name}/tower_2/pool", x, kind, 3, 1, "SAME"), (192, 1, 1)))
        x = g.join(name, parts)
    g.pool("pool_3", x, "AvgPool", 8, 1)
    g.constant("pool_3/_reshape/shape", np.array([-1, 2048], np.int32))
    g.node("pool_3/_reshape", "Reshape", ["pool_3", "pool_3/_reshape/shape"], T=tf.float32)
    g.constant("softmax/weights", g.random.normal(0, 0.02, (2048, 1008)).astype(np.float32))
    g.constant("softmax/biases", g.random.normal(0, 1, 1008).astype(np.float32))
    g.node("softmax/logits/MatMul", "MatMul", ["pool_3/_reshape", "softmax/weights"], T=tf.float32)
    g.node("softmax/logits", "BiasAdd", ["softmax/logits/MatMul", "softmax/biases"], T=tf.float32)
    g.node("softmax", "Softmax", ["softmax/logits"], T=tf.float32)
    with open(path, "wb") as file:
        file.write(g.graph.SerializeToString())


def run_by_importer(path, images):
    """pool_3 features [N, 2048] and logits without biases [N, 1008] of images in 0..255, by TensorFlow's importer."""
    definition = tf.compat.v1.GraphDef()
    with open(path, "rb") as file:
        definition.ParseFromString(file.read())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        plain = tf.compat.v1.ConfigProto()  # the optimiser of graphs would fold constants for ten seconds
        plain.graph_options.rewrite_options.disable_meta_optimizer = True
        with tf.compat.v1.Session(graph=graph, config=plain) as session:
            return session.run(
                ["pool_3/_reshape:0", "softmax/logits/MatMul:0"], {"ExpandDims:0": images.astype(np.float32)}
            )
