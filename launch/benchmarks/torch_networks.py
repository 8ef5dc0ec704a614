"""Our convolutional networks in PyTorch, layer by layer and with the same weights, for images in channels-last memory.

A peer of equal architecture by construction: what is timed beside ours computes the same function.
"""

import keras
import numpy as np
import torch


def translated(network: keras.Sequential) -> torch.nn.Sequential:
    """The network for images [batch, C, H, W] and vectors [batch, D], in training mode.

    Raises:
        TypeError: a layer that has no counterpart here.
    """
    layers = [_layer(layer) for layer in network.layers]
    return torch.nn.Sequential(*(layer for layer in layers if layer is not None)).to(memory_format=torch.channels_last)


class Convolution(torch.nn.Module):
    """A convolution, or a transposed one, with the padding that makes a stride divide the side ("same")."""

    def __init__(self, layer: keras.layers.Conv2D):
        super().__init__()
        (size, _), (stride, _) = layer.kernel_size, layer.strides
        total = max(size - stride, 0)
        self.before, self.after = total // 2, total - total // 2
        self.transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        kernel = np.transpose(layer.kernel, (3, 2, 0, 1))  # [k, k, in, out] → [out, in, k, k]; transposed alike
        kind = torch.nn.ConvTranspose2d if self.transposed else torch.nn.Conv2d
        inputs, outputs = kernel.shape[:2] if self.transposed else kernel.shape[1::-1]
        even = self.transposed or self.before == self.after
        self.convolution = kind(inputs, outputs, size, stride, self.before if even else 0, bias=layer.use_bias)
        self.pad = None if even else (self.before, self.after) * 2
        _assign(self.convolution, kernel, layer)

    def forward(self, x):
        x = self.convolution(x if self.pad is None else torch.nn.functional.pad(x, self.pad))
        surplus = self.after - self.before
        return x[..., :-surplus, :-surplus] if self.transposed and surplus else x


class ToImage(torch.nn.Module):
    """Vectors as feature maps, in the order of ours."""

    def __init__(self, shape):
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x):
        return x.reshape(-1, *self.shape).permute(0, 3, 1, 2)


class ToVector(torch.nn.Module):
    """Feature maps as vectors, in the order of ours."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def _layer(layer: keras.Layer) -> torch.nn.Module | None:
    """A layer's counterpart; None for one that does nothing."""
    match layer:
        case keras.layers.Conv2D() | keras.layers.Conv2DTranspose():
            return Convolution(layer)
        case keras.layers.Dense(activation=keras.activations.linear):
            linear = torch.nn.Linear(*layer.kernel.shape, bias=layer.use_bias)
            _assign(linear, np.transpose(layer.kernel), layer)
            return linear
        case keras.layers.BatchNormalization():
            norm = torch.nn.BatchNorm2d(layer.gamma.shape[0], eps=layer.epsilon, momentum=1 - layer.momentum)
            norm.load_state_dict(
                {
                    **{"weight": _tensor(layer.gamma), "bias": _tensor(layer.beta)},
                    **{"running_mean": _tensor(layer.moving_mean), "running_var": _tensor(layer.moving_variance)},
                    "num_batches_tracked": torch.tensor(0),
                }
            )
            return norm
        case keras.layers.LeakyReLU():
            return torch.nn.LeakyReLU(float(layer.negative_slope))
        case keras.layers.ReLU():
            return torch.nn.ReLU()
        case keras.layers.Reshape():
            return ToImage(layer.target_shape)
        case keras.layers.Flatten():
            return ToVector()
        case keras.layers.Activation(activation=keras.activations.tanh):
            return torch.nn.Tanh()
        case keras.layers.Activation(activation=keras.activations.linear) | keras.layers.InputLayer():
            return None
    raise TypeError(f"{layer!r} has no counterpart in PyTorch here; add one")


def _tensor(values) -> torch.Tensor:
    return torch.tensor(np.array(values, np.float32))


def _assign(module: torch.nn.Module, weight, layer: keras.Layer) -> None:
    with torch.no_grad():
        module.weight.copy_(_tensor(weight))
        if layer.use_bias:
            module.bias.copy_(_tensor(layer.bias))
