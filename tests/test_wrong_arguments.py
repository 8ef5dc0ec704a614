"""Wrong constructor arguments of shipped recipes, bound by gin: one line that names the argument and its value.

A slice of `python -m tests.wrong_arguments`, which takes all of them.
"""

import inspect

import gin
import keras
import pytest

from tests.wrong_arguments import ROOT, Pair, names_the_argument, outcome, reached
from tfade.errors import UsageError
from tfade.networks.dcgan import DCGANGenerator
from tfade.training.building import build_or_explain

VAE = ROOT / "gin" / "vae.gin"
WRONG = [
    *((f"VAE.{name}", value) for name in ("encoder", "decoder") for value in ("0", "None", "(1, 2)", "@R1()")),
    *((f"VAE.{name}", "@DCGANEncoder") for name in ("decoder", "flow", "pixels", "posterior", "prior")),
    *((f"VAE.{name}", "10**12") for name in ("context_size", "latent_size", "importance_samples")),
    *(("DCGANEncoder.width", value) for value in ("0", "1.5", "'x'", "True", "10**12")),
    ("DCGANGenerator.kernel_size", "10**12"),
    ("DCGANEncoder.initial_scale", "{}"),
    ("DiagonalNormal.conditioner", "@DCGANEncoder"),
    ("DiagonalNormal.conditioner", "@MLPConditioner()"),
    *(("Optimization.schedule", value) for value in ("0", "(1, 2)", "'x'", "((1,),)")),
    *(("autoencoder/make_optimizer.optimizer", value) for value in ("0", "None", "@R1()")),
    *(("autoencoder/adam.epsilon", value) for value in ("None", "0", "1e400")),
    ("MLPConditioner.depth", "10**12"),
]


@pytest.fixture(scope="module")
def spec() -> str:
    return reached(VAE)[1]


@pytest.mark.every(2)
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_one_line_names_argument_and_value(spec, name, value):
    extra = ["DiagonalNormal.conditioner = @MLPConditioner"] if name.startswith("MLPConditioner") else []
    pair = Pair(name, value)
    line = outcome(VAE, spec, pair, extra)
    assert line != "model"
    assert line[0] != "!", line
    assert "\n" not in line
    assert names_the_argument(pair, line), line
    literal = str(10**12) if value == "10**12" else value.removeprefix("@").removesuffix("()").replace("1e400", "inf")
    assert literal in line, line


@pytest.mark.parametrize(
    "line", ["VAE.kl_weight = 0.5", "autoencoder/adam.learning_rate = 1", "DCGANEncoder.width = 3"]
)
def test_other_right_values_make_a_model(spec, line):
    assert outcome(VAE, spec, Pair(*line.split(" = "))) == "model"


def test_defects_and_users_classes_keep_their_traceback():
    def fails(error):
        raise error

    with pytest.raises(AssertionError):
        build_or_explain("VAE", lambda: fails(AssertionError("a defect")))
    with pytest.raises(UsageError, match="^VAE cannot be built with VAE: no key$"):
        build_or_explain("VAE", lambda: fails(KeyError("no key")))
    with gin.unlock_config():
        gin.parse_config("import tests.training.two_stages")
        try:
            with pytest.raises(KeyError):
                build_or_explain("VAE", lambda: fails(KeyError("no key")))
        finally:
            gin.clear_config(clear_constants=False)


def test_what_is_too_large_is_named_by_its_size():
    """Of all constructors that the error came through, those near the largest: 2⁶⁶ numbers of a kernel."""
    with pytest.raises(UsageError, match="^VAE cannot be built with .*more than") as raised:
        build_or_explain("VAE", lambda: DCGANGenerator((16, 16, 1), 2**30, width=2**30))
    assert "DCGANGenerator.latent_size=1073741824, DCGANGenerator.width=1073741824" in str(raised.value)


def test_registered_classes_have_arguments_of_their_own():
    """Without a constructor, gin would take Keras' arguments for theirs: a dtype, a name, a regularizer of nothing."""
    import tfade.configurables  # noqa: F401

    for entry in gin.config._REGISTRY._selector_map.values():
        kind = entry.wrapped
        if inspect.isclass(kind) and issubclass(kind, keras.Layer) and kind.__module__.startswith("tfade."):
            owner = next(each for each in kind.__mro__ if "__init__" in vars(each))
            assert owner.__module__.startswith("tfade."), kind
