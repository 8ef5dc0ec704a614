"""What every flow has to satisfy, whatever its class: check functions over cases.

A test module lists its flows as cases and runs every check over every case:

    @pytest.mark.parametrize("case", CASES, ids=str)
    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_property(check, case):
        check(case)
"""

import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.flows.cases import BATCH, Case, Holder, jacobian, outputs, precision, saved_arrays
from tfade.flows.layer import FlowLayer, size_of

LOG_DET_TOLERANCE = 1e-8
COMPILED_TOLERANCE = 1e-8  # float64; XLA orders sums as it likes
# Each kind of operation once; XLA takes seconds for what the other checks do in milliseconds.
BY_XLA = {
    "maf",
    "iaf_gated",
    "affine",
    "spline",
    "checkerboard_odd",
    "glow",
    "planar",
    "radial_1",
    "lu",
    "convolution",
    "vectors",
}
EXTREMES = (1e6, -1e6, 1e3, -1e3, 1.0, 0.0)


def check_inverse(case: Case) -> None:
    """Both round trips, through tf.identity so that nothing can be looked up."""
    with precision("float64"):
        for layer, context in case.built():
            bijector, data, latents = layer.bijector(context), case.data(), case.latents(layer)
            there = bijector.inverse(tf.constant(data))
            back = layer.bijector(context).forward(tf.identity(there))
            np.testing.assert_allclose(back, data, rtol=case.tolerance, atol=case.tolerance)
            there = bijector.forward(tf.constant(latents))
            back = layer.bijector(context).inverse(tf.identity(there))
            np.testing.assert_allclose(back, latents, rtol=case.tolerance, atol=case.tolerance)


def check_log_det(case: Case) -> None:
    """Log-determinants against those of the Jacobian by autodiff, and against each other."""
    with precision("float64"):
        for layer, context in case.built():

            def inverse(x, given, layer=layer):
                return layer.bijector(given).inverse_and_log_det(x)

            def forward(z, given, layer=layer):
                return layer.bijector(given).forward_and_log_det(z)

            for function, value in ((inverse, case.data()), (forward, case.latents(layer))):
                result, log_det = function(value, context)
                full = jacobian(lambda v, c, f=function: f(v, c)[0], value, context)
                expected = np.linalg.slogdet(full)[1]
                np.testing.assert_allclose(log_det, expected, rtol=LOG_DET_TOLERANCE, atol=LOG_DET_TOLERANCE)
                other = forward if function is inverse else inverse
                back = other(tf.identity(result), context)[1]
                np.testing.assert_allclose(back, -log_det, rtol=case.tolerance, atol=case.tolerance)


def check_finite_at_extremes(case: Case) -> None:
    """float32: value, log-determinant and every gradient at |x| up to 1e6, fresh or with random weights."""
    generator = np.random.default_rng(0)
    for perturbed in (True, False):
        for layer, context in case.built(perturbed):
            for shape, name in ((layer.event_shape, "inverse"), (layer.latent_shape, "forward")):
                size = size_of(shape)
                rows = [np.full(size, extreme) for extreme in EXTREMES]
                rows += [np.where(np.arange(size) % 2, extreme, -extreme) for extreme in EXTREMES[:3]]
                rows += [np.where(np.arange(size) == size // 2, 1e6, generator.normal(size=size))]
                rows += [generator.choice(EXTREMES, size)]
                value = tf.constant(np.reshape(rows, (-1, *shape)), tf.float32)
                given = None if context is None else np.resize(context, (len(rows), case.context_size))
                with tf.GradientTape() as tape:
                    tape.watch(value)
                    result, log_det = getattr(layer.bijector(given), f"{name}_and_log_det")(value)
                    total = tf.reduce_sum(result) + tf.reduce_sum(log_det)
                assert np.isfinite(result).all(), f"{name} overflows"
                assert np.isfinite(log_det).all(), f"the log-determinant of {name} overflows"
                variables = [variable.value for variable in layer.trainable_variables]
                for gradient in tape.gradient(total, [value, *variables]):
                    assert gradient is None or np.isfinite(gradient).all(), f"{name} has a gradient that overflows"


def check_gradients_reach_everything(case: Case) -> None:
    """The density of random data moves every trainable variable."""
    for layer, context in case.built():
        with tf.GradientTape() as tape:
            latents, log_det = layer.bijector(context).inverse_and_log_det(case.data())
            loss = tf.reduce_mean(log_det) - 0.5 * tf.reduce_mean(tf.square(latents - 0.3))
        variables = layer.trainable_variables
        for variable, gradient in zip(variables, tape.gradient(loss, [variable.value for variable in variables])):
            largest = 0.0 if gradient is None else np.abs(gradient).max()
            assert largest > 0, f"{variable.path} gets no gradient"


def check_reload(case: Case) -> None:
    """Weights written and read into a second layer, made from another seed, give the same outputs to the bit."""
    for context_size in {0, case.context_size}:
        layer, other = case.build(context_size), case.build(context_size, seed=9)
        context = case.context() if context_size else None
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "flow.weights.h5")
            Holder(layer).save_weights(path)
            assert saved_arrays(path) == len(layer.variables)
            Holder(other).load_weights(path)
        values = context, case.data(), case.latents(layer)
        for one, two in zip(outputs(layer, *values), outputs(other, *values)):
            np.testing.assert_array_equal(one, two)


def check_identity_at_start(case: Case) -> None:
    """A fresh layer moves numbers at most, unless the case says otherwise; then it must not be the identity."""
    for layer, context in case.built(perturbed=False):
        data, latents = case.data().astype("float32"), case.latents(layer).astype("float32")
        there, log_det, back, other_log_det = outputs(layer, context, data, latents)
        same = all(
            np.allclose(np.sort(before.reshape(BATCH, -1)), np.sort(after.reshape(BATCH, -1)), atol=1e-5)
            for before, after in ((data, there), (latents, back))
        ) and np.allclose([log_det, other_log_det], 0, atol=1e-5)
        assert same == case.identity


def check_context(case: Case) -> None:
    """Every vector of the context changes its own row and no other, and has a gradient."""
    if not case.context_size:
        return
    with precision("float64"):
        layer, context = case.build(case.context_size), case.context()
        values = case.data(), case.latents(layer)
        changed = context.copy()
        changed[0] += 1.0
        before, after = outputs(layer, context, *values), outputs(layer, changed, *values)
        for one, two in zip(before, after):
            np.testing.assert_allclose(two[1:], one[1:], rtol=1e-12, atol=1e-12)
        differs = [np.abs(one[0] - two[0]).max() > 1e-7 for one, two in zip(before, after)]
        assert (differs[0] and differs[2]) == case.uses_context
        assert case.uses_context or not any(differs)
        given = tf.constant(context)
        for name, value in zip(("inverse", "forward"), values):
            with tf.GradientTape() as tape:
                tape.watch(given)
                result = getattr(layer.bijector(given), f"{name}_and_log_det")(value)[0]
            gradient = tape.gradient(result, given)
            assert (gradient is not None and (np.abs(gradient).max(-1) > 0).all()) == case.uses_context


def check_batch_against_loop(case: Case) -> None:
    """Each row alone has the values and the density that it has in a batch."""
    with precision("float64"):
        for layer, context in case.built():
            values = case.data(), case.latents(layer)
            whole = outputs(layer, context, *values)
            for row in range(BATCH):
                only = slice(row, row + 1)
                alone = outputs(layer, None if context is None else context[only], *(value[only] for value in values))
                assert_close(alone, [answer[only] for answer in whole])


def check_batch_ranks(case: Case) -> None:
    """A single event, a batch, and a grid of events, each with contexts of their own or one for all."""
    with precision("float64"):
        for layer, context in case.built():
            for direction, value in (("inverse", case.data()), ("forward", case.latents(layer))):
                flat = answers(layer, context, value, direction)
                for row in (0, BATCH - 1):
                    alone = answers(layer, None if context is None else context[row], value[row], direction)
                    assert_close(alone, [answer[row] for answer in flat])
                grid = np.stack([value, value[::-1]])  # [2, BATCH, *event]
                assert_close([answer[0] for answer in answers(layer, context, grid, direction)], flat)
                if context is not None:
                    one = answers(layer, context[2], grid, direction)
                    assert one[1].shape == (2, BATCH)
                    assert_close([answer[0, 2] for answer in one], [answer[2] for answer in flat])
                    crossed = answers(layer, context[:2, None], value, direction)  # [2, 1, size] against [BATCH, ...]
                    assert_close([answer[1, 1] for answer in crossed], [answer[1] for answer in flat])


def answers(layer: FlowLayer, context, value: np.ndarray, direction: str) -> list[np.ndarray]:
    """Value and log-determinant of one direction, by TFP's methods."""
    bijector, given = layer.bijector(context), tf.constant(value)
    event_ndims = len(layer.event_shape if direction == "inverse" else layer.latent_shape)
    result = getattr(bijector, direction)(given)
    return [result.numpy(), getattr(bijector, f"{direction}_log_det_jacobian")(given, event_ndims).numpy()]


def assert_close(found, expected) -> None:
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)


def check_compiled(case: Case) -> None:
    """Inside tf.function, and in some cases with XLA, values are those of eager execution; the batch size may vary."""
    with precision("float64"):
        *_, (layer, context) = case.built()
        data, latents = case.data(), case.latents(layer)
        values = [tf.constant(value) for value in (data, latents, *(() if context is None else (context,)))]
        signature = [tf.TensorSpec((None, *value.shape[1:]), value.dtype) for value in values]
        expected = outputs(layer, context, data, latents)

        def both(data, latents, *given):
            bijector = layer.bijector(*given)
            return (*bijector.inverse_and_log_det(data), *bijector.forward_and_log_det(latents))

        flexible = tf.function(both, input_signature=signature, autograph=False)
        compiled = tf.function(lambda *given: flexible(*given), jit_compile=True, autograph=False)  # not traced twice
        by_xla = [(compiled, BATCH)] if case.name in BY_XLA else []
        for function, rows in ((flexible, BATCH), (flexible, 2), *by_xla):
            for one, two in zip(expected, function(*(value[:rows] for value in values))):
                np.testing.assert_allclose(two, one[:rows], rtol=COMPILED_TOLERANCE, atol=COMPILED_TOLERANCE)


CHECKS = (
    check_inverse,
    check_log_det,
    check_finite_at_extremes,
    check_gradients_reach_everything,
    check_reload,
    check_identity_at_start,
    check_context,
    check_batch_against_loop,
    check_batch_ranks,
    check_compiled,
)


def name_of(check) -> str:
    """A check's name in a test's name."""
    return check.__name__.removeprefix("check_")
