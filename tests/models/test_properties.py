"""Every model that gin knows, and small ones of other kinds: the properties that no model may lack."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from gin import config as gin_config

import tfade.configurables
from tests.helpers import assert_same_state, eagerly
from tests.models.cases import CASES
from tests.models.properties import (
    ASK,
    SIGNATURES,
    SIZE,
    answers,
    batch_of,
    built,
    inputs,
    served,
    source,
    step,
    train,
    trainable,
)
from tfade.contract import QUESTIONS
from tfade.errors import UsageError
from tfade.export import export
from tfade.models.base import GenerativeModel
from tfade.models.step import TrainingStep
from tfade.spec import Batch
from tfade.training import model_pictures, strategy
from tfade.training.checkpoints import Checkpoints, restore, snapshot

OF_EXAMPLES = ("codes", "decode", "reconstruct", "translate", "translate_back", "discriminate", "classify", "log_prob")
WITH_LABELS = ("encode", "codes", "decode", "reconstruct", "interpolate", "discriminate", "log_prob")


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Steps run as they are written; `compile` traces the losses."""
    with eagerly():
        yield


@pytest.fixture(
    params=[pytest.param(name, marks=[pytest.mark.twin] * case.twin) for name, case in CASES.items()], scope="module"
)
def case(request):
    return CASES[request.param]


class Trained(NamedTuple):
    """A model after some steps, and on the way there.

    Attributes:
        model: tests leave it as they find it.
        initial: the state before the first step.
        state: that of the model now.
        reported: by the last step.
    """

    model: GenerativeModel
    initial: dict
    state: dict
    reported: dict


@pytest.fixture(scope="module")
def trained(case):
    model = built(case)
    initial = snapshot(model.state())
    reported = train(model, case, steps_of(case))
    return Trained(model, initial, snapshot(model.state()), reported)


def steps_of(case) -> int:
    """How long a case is trained; one with stages has entered its last one."""
    return 2 if case.stages else 1


@pytest.fixture
def model(trained):
    return trained.model


@pytest.fixture
def compiled():
    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)


def test_every_model_that_gin_knows_has_a_case():
    classes = {entry.wrapped for _, entry in gin_config._REGISTRY.items() if isinstance(entry.wrapped, type)}
    models = {kind for kind in classes if issubclass(kind, GenerativeModel)}
    known = {kind for kind in models if kind.__module__.startswith(f"{tfade.__name__}.")}
    assert known <= {getattr(case.kind, "func", case.kind) for case in CASES.values() if not case.twin}
    assert {model.train_step for model in known} == {TrainingStep.train_step}


@pytest.mark.every(4, 1)
def test_a_player_moves_all_of_its_own_variables_and_no_other(case, model):
    state = snapshot(model.state())
    for index, of_stage in enumerate(model.stages):
        model.enter_stage(index)
        for name, player in of_stage.players.items():
            for other, optimizer in model.optimizers.items():
                optimizer.learning_rate.assign(0.5 if other == name else 0.0)
            before = {key: variable.numpy() for key, variable in trainable(model).items()}
            step(model, case, 0)
            moved = {key for key, variable in trainable(model).items() if np.any(variable.numpy() != before[key])}
            own = {id(variable) for variable in player.variables}
            assert moved == {key for key, v in trainable(model).items() if id(v) in own} - set(case.unmoved)
            assert moved
            restore(model, state)
            model.enter_stage(index)
    restore(model, state)


@pytest.mark.every(6, 1)
def test_two_replicas_train_like_one(case, trained):
    two = built(case, devices=2)
    reported = train(two, case, steps_of(case))
    assert two.distribute_strategy.num_replicas_in_sync == 2
    assert reported.keys() == trained.reported.keys()
    for name, value in trained.reported.items():
        np.testing.assert_allclose(reported[name], value, rtol=2e-3, atol=1e-4, err_msg=name)
    for name, variable in two.state().items():
        first, second = (copy.numpy() for copy in two.distribute_strategy.experimental_local_results(variable.value))
        np.testing.assert_array_equal(first, second, err_msg=name)
        alone = trained.state[name]
        moved, apart = np.linalg.norm(alone - trained.initial[name]), np.linalg.norm(first - alone)
        assert apart <= 0.02 * moved + 1e-5 * (1.0 + np.linalg.norm(alone)), name


@pytest.mark.every(11, 3)
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_step_in_half_precision_is_finite(case, policy):
    with strategy.precision(policy):
        model = built(case)
        for optimizer in model.optimizers.values():
            if policy == "mixed_float16":  # so that the first step is not one that finds the scale
                optimizer.dynamic_scale.assign(16.0)
        before = {key: variable.numpy() for key, variable in trainable(model).items()}
        logs = step(model, case, 0)
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert all(np.isfinite(value).all() for value in snapshot(model.state()).values())
    assert {variable.dtype for variable in trainable(model).values()} == {"float32"}
    for player in model.stage.players.values():
        own = {id(variable) for variable in player.variables}
        assert any(np.any(v.numpy() != before[key]) for key, v in trainable(model).items() if id(v) in own)
    for name, value in answers(model, inputs(model, case)).items():
        assert value.dtype == np.float32, name
        assert np.isfinite(value).all(), name


@pytest.mark.every(6, 4)
def test_a_restored_model_is_the_same_and_goes_on_the_same(case, model, tmp_path):
    state = snapshot(model.state())
    Checkpoints(tmp_path).save(steps_of(case), state)
    other = built(case, seed=8)
    different = {name for name, value in snapshot(other.state()).items() if np.any(value != state[name])}
    assert {"step", *(key for key in trainable(model))} <= different
    restore(other, Checkpoints(tmp_path).load())
    assert_same_state(snapshot(other.state()), state)
    given = inputs(model, case)
    expected = answers(model, given)
    for name, value in answers(other, given).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
    for continued in (model, other):
        train(continued, case, steps_of(case) + 1)
    assert_same_state(snapshot(other.state()), snapshot(model.state()))
    restore(model, state)


@pytest.mark.every(20, 10)  # one of which is conditional
@pytest.mark.usefixtures("compiled")
def test_the_export_answers_as_the_model(case, model, tmp_path):
    names = export(model, tmp_path)
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    asked = {name for name, (_, question) in SIGNATURES.items() if model.answers(question)}
    levels = {f"{name}_uint8" for name in asked if model.spec.is_image and not name.startswith("sample")}
    assert set(names) == {*asked, *levels, "serving_default"}
    for size in (1, 7):
        given = inputs(model, case, size)
        live = answers(model, given)
        for name in names:
            of = name.removesuffix("_uint8") if name != "serving_default" else names[0]
            output, question = SIGNATURES[of]
            if question == "reconstruct" and model.decode_is_random:
                continue  # pixels are drawn by the bits of a code, the last of which are rounding
            expected = {output: live[question]}
            if of == "encode" and model.gaussian_codes:
                expected["scale"] = np.asarray(model.encode(given.x, **given.condition).stddev())
            found = served(signatures[name], name, given)
            assert found.keys() == expected.keys(), name
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, rtol=1e-4, atol=1e-4, err_msg=f"{name}: {key}")


@pytest.mark.every(4, 2)
def test_every_question_is_answered_or_declined_with_a_reason(case, model):
    assert ASK.keys() == set(QUESTIONS)
    given, image = inputs(model, case), model.spec.shape
    shapes = {
        **dict.fromkeys(("sample", "decode", "reconstruct", "to_image", "translate_back"), (7, *image)),
        **dict.fromkeys(("prior", "encode", "codes"), (7, model.latent_size)),
        **dict.fromkeys(("discriminate", "log_prob", "log_density", "log_likelihood"), (7,)),
        **dict.fromkeys(("observation", "to_observation"), (7, *image)),
        "interpolate": (7, 3, *image),
        "classify": (7, model.spec.num_classes),
        "translate": (7, *(model.spec.other or model.spec).shape),
    }
    for name in QUESTIONS:
        if not model.answers(name):
            with pytest.raises(NotImplementedError, match=f"^{type(model).__name__} cannot {name}: \\w.{{10}}"):
                ASK[name](model, given)
            continue
        value = np.asarray(ASK[name](model, given))
        assert (value.shape, value.dtype) == (shapes[name], np.float32), name
        assert np.isfinite(value).all(), name
        if len(shapes[name]) > 3 and name not in ("observation", "to_observation"):
            assert 0 <= value.min() <= value.max() <= 1, name
        if name in ("sample", "prior", "encode", "observation"):
            np.testing.assert_array_equal(ASK[name](model, given), value, err_msg=name)
    with pytest.raises(ValueError, match="question='dream' is not one of sample, prior"):
        model.answers("dream")


@pytest.mark.every(4)
def test_what_a_model_declares_is_what_it_answers(case, model):
    given = inputs(model, case)
    assert (model.likelihood is not None) == model.answers("log_prob")
    assert (model.latent_size is not None) == any(map(model.answers, ("prior", "encode", "decode")))
    if model.likelihood == "lower_bound":
        assert model.log_prob(given.x, 3, **given.condition).shape == (7,)
        with pytest.raises(UsageError, match="num_samples=0"):
            model.log_prob(given.x, 0, **given.condition)
    if model.gaussian_codes:
        assert np.all(model.encode(given.x, **given.condition).stddev() > 0)
    if model.answers("sample"):
        assert np.any(
            model.sample(3, seed=1, **model.conditions([0, 1, 2]))
            != model.sample(3, seed=2, **model.conditions([0, 1, 2]))
        )
        assert model.sample(3).shape == (3, *model.spec.shape)
    terms = model.validate(Batch.of(batch_of(case, 0, model.fields)))
    assert all(value.shape == (SIZE,) and np.isfinite(value).all() for value in terms.values())


@pytest.mark.every(4, 3)
def test_an_answer_belongs_to_its_example(case, model):
    """Whatever its batch mates are, and whether it is given as levels or in [0, 1]; few samples begin many."""
    together, alone = (answers(model, inputs(model, case, size)) for size in (7, 2))
    given = inputs(model, case, 2)
    unit = given._replace(x=given.x / np.float32(255)) if model.spec.is_image else given
    for name in OF_EXAMPLES:
        if model.answers(name):
            np.testing.assert_allclose(alone[name], together[name][:2], rtol=1e-4, atol=1e-4, err_msg=name)
            np.testing.assert_allclose(ASK[name](model, unit), alone[name], rtol=1e-4, atol=1e-5, err_msg=name)
    if model.answers("sample"):
        np.testing.assert_allclose(alone["sample"], together["sample"][:2], rtol=1e-4, atol=1e-4)


@pytest.mark.every(1)
def test_labels_go_to_conditional_models(case, model):
    given = inputs(model, case)
    labels = given._replace(condition={"labels": [10] * 7})
    without, message = (
        (given._replace(condition={}), "labels=None") if model.conditional else (labels, "labels were given to")
    )
    for name in WITH_LABELS:
        if model.answers(name):
            with pytest.raises(UsageError, match=message):
                ASK[name](model, without)
            if model.conditional:
                with pytest.raises(UsageError, match=r"labels lie in \[10, 10\]; the classes of .* are 0 to 9"):
                    ASK[name](model, labels)
    if model.answers("sample"):
        with pytest.raises(UsageError, match="labels"):
            ASK["sample"](model, labels)


@pytest.mark.every(4, 3)
def test_pictures_show_what_a_model_answers(case, model, tmp_path):
    held_out, other = source(case.domain), source("other") if model.spec.other else None
    counts = {"samples": 10, "reconstructions": 3, "interpolations": 2}
    found = [name for name, _ in model_pictures.all_pictures(model, held_out, other, **counts)]
    questions = {
        "samples": "sample",
        "reconstructions": "reconstruct",
        "cycle": "translate",
        "cycle_back": "translate_back",
        "interpolation": "interpolate",
    }
    wanted = [name for name, question in questions.items() if model.answers(question)]
    assert found == (wanted if model.spec.is_image else [name for name in wanted if name == "samples"])
    assert model_pictures.write_overview(model, held_out, tmp_path / "overview.png", 10, 3, other) == bool(found)
