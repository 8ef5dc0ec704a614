"""A loss that couples all examples of the global batch is the same on one replica and on two."""

import functools

import keras
import numpy as np

from tfade.data.pipeline import batches
from tfade.models.latent import Autoencoder
from tfade.models.players import Player
from tfade.networks.dcgan import DCGANEncoder, DCGANGenerator
from tfade.objectives.mmd import IMQ, mmd
from tfade.objectives.reconstruction import squared_error
from tfade.training.strategy import make_strategy


class MMDAutoencoder(Autoencoder):
    """Squared error, and the discrepancy of codes and prior over the global batch."""

    def players(self):
        return (Player("autoencoder", self.encoder, self.decoder),)

    def losses(self, batch, seeds):
        x = self.network_input(batch.images)
        code, z = self.code_sample(x, seeds), self.prior_sample(seeds, batch.size)
        everything = (self.over_global_batch(values) for values in (z, code))
        return {
            "autoencoder": {
                "reconstruction": squared_error(x, self.decoder(code, training=True)),
                "mmd": mmd(*everything, IMQ()),
            }
        }


def trained(source, devices: int):
    strategy = make_strategy(devices=devices)
    with strategy.scope():
        keras.utils.set_random_seed(5)
        networks = (functools.partial(kind, width=4, normalization=None) for kind in (DCGANEncoder, DCGANGenerator))
        model = MMDAutoencoder((16, 16, 3), 4, *networks)
        model.compile(lambda name: keras.optimizers.SGD(0.5), seed=1)
    make = lambda context=None: batches(source, 16, 0, context=context)
    data = make() if devices == 1 else strategy.distribute_datasets_from_function(make)
    history = model.fit(data, steps_per_epoch=1, epochs=4, verbose=0, shuffle=False).history
    return model, history


def test_the_loss_and_its_gradient_do_not_depend_on_the_replicas(source):
    (one, of_one), (two, of_two) = (trained(source, devices) for devices in (1, 2))
    for name, values in of_one.items():
        np.testing.assert_allclose(of_two[name], values, rtol=1e-3, atol=1e-5, err_msg=name)
    for a, b in zip(one.encoder.trainable_variables, two.encoder.trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4, err_msg=a.path)


def test_rows_of_a_single_replica_are_themselves(make_model):
    values = np.ones((3, 2), np.float32)
    assert make_model(compiled=False).over_global_batch(values) is values


def test_codes_move_towards_the_prior(source):
    _, history = trained(source, 1)
    assert history["autoencoder/mmd"][-1] < history["autoencoder/mmd"][0]
