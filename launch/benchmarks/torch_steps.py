"""Training steps in PyTorch as one would write them, for the networks of our own models: eager, or compiled.

Each maker takes our model, translates its networks, and returns a function of a batch [batch, C, H, W] in [-1, 1].
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch.nn.functional import softplus

from launch.benchmarks.torch_networks import translated

RATE, BETAS = 2e-4, (0.5, 0.99)
Passes = Sequence[Callable[[torch.Tensor], Mapping[str, torch.Tensor]]]  # of a batch → the losses of players


class Step:
    """Adam steps of players, one pass after the other; the players of a pass move together.

    Args:
        parameters: of each player.
        passes: functions of a batch, which return the losses of the players that move.
        compiled: under torch.compile, where the machine has a compiler.
        averaged: a network whose weights are averaged after the step; None for none.
    """

    def __init__(self, parameters, passes: Passes, compiled: bool, averaged: torch.nn.Module | None = None):
        self.parameters = {name: list(of) for name, of in parameters.items()}
        self.optimizers = {name: torch.optim.Adam(of, RATE, BETAS) for name, of in self.parameters.items()}
        self.passes = [torch.compile(losses) if compiled else losses for losses in passes]
        self.weights = [] if averaged is None else list(averaged.parameters())
        self.averages = [weight.detach().clone() for weight in self.weights]

    def __call__(self, x: torch.Tensor) -> float:
        for losses_of in self.passes:
            losses = losses_of(x)
            for place, (name, loss) in enumerate(losses.items(), 1):
                gradients = torch.autograd.grad(loss, self.parameters[name], retain_graph=place < len(losses))
                for parameter, gradient in zip(self.parameters[name], gradients):
                    parameter.grad = gradient
            for name in losses:
                self.optimizers[name].step()
        if self.averages:
            with torch.no_grad():
                torch._foreach_lerp_(self.averages, self.weights, 0.01)
        return loss.item()


def vae(model, compiled: bool) -> Step:
    """Dequantised pixels with one σ, and a diagonal posterior by one linear map of the encoder's output."""
    encoder, decoder = (translated(model.networks[name]) for name in ("encoder", "decoder"))
    size = model.latent_size
    posterior = torch.nn.Linear(model.networks["encoder"].output_shape[-1], 2 * size)
    log_scale = torch.nn.Parameter(torch.zeros(()))

    def losses(x):
        x = (255 / 256 * (x + 1) / 2) + torch.rand_like(x) / 256
        mean, spread = posterior(encoder(2 * x - 1)).chunk(2, 1)
        deviation = softplus(spread)
        decoded = (decoder(mean + deviation * torch.randn_like(mean)) + 1) / 2
        kl = 0.5 * (mean**2 + deviation**2 - 1).sum(1) - deviation.log().sum(1)
        error = ((x - decoded) ** 2).flatten(1).sum(1)
        dimensions = math.prod(x.shape[1:])
        nll = 0.5 * error * torch.exp(-2 * log_scale) + dimensions * (log_scale + 0.5 * math.log(2 * math.pi))
        return {"autoencoder": (nll + kl).mean() / dimensions}

    parts = torch.nn.ModuleList([encoder, posterior, decoder])
    return Step({"autoencoder": [*parts.parameters(), log_scale]}, [losses], compiled)


def gan(model, compiled: bool) -> Step:
    """Cross-entropy with R1: a step of the discriminator, then one of the generator."""
    generator, discriminator = translated(model.generator), translated(model.discriminator)

    def discriminator_losses(x):
        with torch.no_grad():
            fake = generator(torch.randn(len(x), model.latent_size))
        x = x.detach().requires_grad_()
        real = discriminator(x)
        (gradient,) = torch.autograd.grad(real.sum(), x, create_graph=True)
        loss = softplus(-real).mean() + softplus(discriminator(fake)).mean()
        return {"discriminator": loss + 0.5 * gradient.pow(2).flatten(1).sum(1).mean()}

    def generator_losses(x):
        return {"generator": softplus(-discriminator(generator(torch.randn(len(x), model.latent_size)))).mean()}

    players = {"discriminator": discriminator.parameters(), "generator": generator.parameters()}
    return Step(players, [discriminator_losses, generator_losses], compiled)


def wgan_gp(model, compiled: bool) -> Step:
    """Five steps of the discriminator with the gradient penalty, then one of the generator."""
    generator, discriminator = translated(model.generator), translated(model.discriminator)

    def discriminator_losses(x):
        with torch.no_grad():
            fake = generator(torch.randn(len(x), model.latent_size))
        mix = torch.rand(len(x), 1, 1, 1)
        points = (mix * x + (1 - mix) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(points).sum(), points, create_graph=True)
        penalty = (gradient.flatten(1).norm(dim=1) - 1).pow(2).mean()
        return {"discriminator": discriminator(fake).mean() - discriminator(x).mean() + 10 * penalty}

    def generator_losses(x):
        return {"generator": -discriminator(generator(torch.randn(len(x), model.latent_size))).mean()}

    players = {"discriminator": discriminator.parameters(), "generator": generator.parameters()}
    return Step(players, [discriminator_losses] * 5 + [generator_losses], compiled)


def vgh_pp(model, compiled: bool) -> Step:
    """All four players of one pass, and the average of the generator."""
    names = ("encoder", "generator", "discriminator", "code_discriminator")
    networks = {name: translated(getattr(model, name)) for name in names}
    encoder, generator, discriminator, codes = networks.values()

    def losses(x):
        code, z = encoder(x), torch.randn(len(x), model.latent_size)
        reconstruction, sample = generator(code), generator(z)
        real, fake, fake_sample = discriminator(x), discriminator(reconstruction), discriminator(sample)
        prior, posterior = codes(z), codes(code)
        error = (x - reconstruction).abs().mean()
        return {
            "encoder": model.encoder_weight * error + softplus(-posterior).mean(),
            "generator": model.generator_weight * error + softplus(-fake).mean() + softplus(-fake_sample).mean(),
            "discriminator": softplus(-real).mean() + softplus(fake).mean() + softplus(fake_sample).mean(),
            "code_discriminator": softplus(-prior).mean() + softplus(posterior).mean(),
        }

    players = {name: network.parameters() for name, network in networks.items()}
    return Step(players, [losses], compiled, generator)


def pythae_vae(model, compiled: bool) -> Callable[[torch.Tensor], float]:
    """A step of pythae's own VAE, whose encoder and decoder are our networks."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder

    size, shape = model.latent_size, model.image_shape

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.network = translated(model.networks["encoder"])
            self.posterior = torch.nn.Linear(model.networks["encoder"].output_shape[-1], 2 * size)

        def forward(self, x):
            mean, log_variance = self.posterior(self.network(x)).chunk(2, 1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.network = translated(model.networks["decoder"])

        def forward(self, z):
            return ModelOutput(reconstruction=self.network(z))

    config = VAEConfig(input_dim=(shape[-1], *shape[:2]), latent_dim=size, reconstruction_loss="mse")
    theirs = VAE(config, Encoder(), Decoder())
    theirs.train()
    optimizer = torch.optim.Adam(theirs.parameters(), RATE, BETAS)
    call = torch.compile(theirs) if compiled else theirs

    def step(x):
        loss = call({"data": x}).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
