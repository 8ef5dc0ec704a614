"""Imports everything that registers with gin, for programs that read gin files."""

import tfade.data
import tfade.evaluation.suite
import tfade.models.vgh
import tfade.networks.color_mnist
import tfade.networks.dcgan
import tfade.networks.mlp
import tfade.training.optimizers
import tfade.training.recipe
import tfade.training.saving
import tfade.training.showing  # noqa: F401
