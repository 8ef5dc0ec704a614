"""Images without their model: each is given once, and only what is surely 0…255 or [0, 1] of the right shape is taken."""

import numpy as np
import pytest
from PIL import Image

from tfade.contract import QUESTIONS
from tfade.data.digits import digits
from tfade.errors import UsageError
from tfade.evaluation import ExternalImages, Likelihood, NotApplicable, ReconstructionError, Subject, evaluate
from tfade.evaluation.external_images import lossy_files, read_external_images

SHAPE = (4, 5, 3)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, *SHAPE), np.uint8)


def saved(folder, images, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{place:03d}{suffix}")
    return folder


def subject_of(model, **settings):
    real, train = digits("test"), digits("train")
    return Subject(model, real=real, train=train, progress=lambda line: None, **settings)


def test_every_image_is_given_once(images):
    model = ExternalImages(images)
    parts = [np.rint(model.sample(n, seed=3) * 255).astype(np.uint8) for n in (3, 4)]
    np.testing.assert_array_equal(np.concatenate(parts), images)
    with pytest.raises(NotApplicable, match="given once; 0 are left and 1 more"):
        model.sample(1)
    assert model.fingerprint == ExternalImages(images.copy()).fingerprint
    assert model.fingerprint != ExternalImages(images[::-1]).fingerprint


@pytest.mark.parametrize("batch_size", [2, 3, 50])
def test_a_subject_holds_them_whatever_the_batches(batch_size):
    images = digits("validation").fetch(np.arange(7))
    subject = subject_of(ExternalImages(images), num_samples=7, batch_size=batch_size)
    np.testing.assert_array_equal(subject.samples, images)


def test_what_needs_the_model_is_not_applicable():
    model = ExternalImages(digits("validation").fetch(np.arange(4)))
    assert [question for question in QUESTIONS if model.answers(question)] == ["sample"]
    assert model.finite
    assert model.likelihood is model.latent_size is None

    class Decodes(Likelihood):
        name = "decodes"

        def __call__(self, subject):
            return subject.model.decode(np.zeros((1, 2)))

    report = evaluate(subject_of(model, num_samples=4), [ReconstructionError(), Likelihood(), Decodes()])
    reasons = [outcome.not_applicable for outcome in report.outcomes]
    assert reasons == [
        "reconstruct needs the model, but only images were given",
        "ExternalImages has neither a likelihood nor a decoder",
        "decode needs the model, but only images were given",
    ]


def test_arrays_and_folders_give_the_same(tmp_path, images):
    np.savez(tmp_path / "one.npz", images=images)
    np.save(tmp_path / "two.npy", images)
    np.savez(tmp_path / "three.npz", anything=(images / 255).astype(np.float32))
    for path in ("one.npz", "two.npy", "three.npz", saved(tmp_path / "four", images)):
        np.testing.assert_array_equal(read_external_images(tmp_path / path, SHAPE).images, images)
    np.save(tmp_path / "grey.npy", images[..., 0])
    assert read_external_images(tmp_path / "grey.npy", (4, 5, 1)).images.shape == (7, 4, 5, 1)
    assert lossy_files(tmp_path / "four") == lossy_files(tmp_path / "one.npz") == 0
    assert lossy_files(saved(tmp_path / "five", images[:2], ".jpg")) == 2


def test_some_of_them_are_a_choice_by_seed(tmp_path, images):
    np.save(tmp_path / "x.npy", images)
    chosen = [read_external_images(tmp_path / "x.npy", SHAPE, 3, seed).images for seed in (0, 0, 1)]
    np.testing.assert_array_equal(chosen[0], chosen[1])
    assert (chosen[0] != chosen[2]).any()
    positions = [next(i for i, image in enumerate(images) if (image == one).all()) for one in chosen[0]]
    assert positions == sorted(set(positions))
    assert len(positions) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:, :3], ["3×5×3", "4×5×3"]),
        (lambda x: x[..., 0], ["4×5×1", "4×5×3"]),
        (lambda x: np.moveaxis(x, -1, 1), ["[N, C, H, W]"]),
        (lambda x: x.astype(np.float32), ["outside of [0, 1]", "0 to 255"]),
        (lambda x: x / 127.5 - 1, ["outside of [0, 1]"]),
        (lambda x: np.where(np.arange(3) == 1, np.nan, x / 255), ["nan"]),
        (lambda x: (x / 255).astype(np.uint8), ["no value above 1"]),
        (lambda x: (x / 255 / 255).astype(np.float32), ["no value above 1"]),
        (lambda x: x.astype(np.int64), ["int64"]),
        (lambda x: x[:1], ["1 images", "2 or more"]),
        (lambda x: x[:0], ["is empty"]),
        (lambda x: x.reshape(7, -1), ["[N, H, W]"]),
    ],
    ids=["shape", "grey", "nchw", "float255", "signed", "nan", "cast", "twice", "int64", "one", "none", "rank"],
)
def test_arrays_that_are_refused(tmp_path, images, change, words):
    np.savez(tmp_path / "x.npz", images=change(images))
    with pytest.raises(UsageError) as error:
        read_external_images(tmp_path / "x.npz", SHAPE)
    assert str(error.value).startswith("images=")
    for word in ("x.npz", *words):
        assert word in str(error.value)


def test_folders_and_files_that_are_refused(tmp_path, images):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("x")
    (tmp_path / "broken.npz").write_bytes(b"PK")
    np.savez(tmp_path / "splits.npz", x_train=images, x_test=images)
    saved(tmp_path / "split" / "train", images)
    broken = saved(tmp_path / "torn", images)
    (broken / "002.png").write_bytes((broken / "002.png").read_bytes()[:60])
    mixed = saved(tmp_path / "mixed", images)
    Image.fromarray(images[0, :2]).save(mixed / "000.png")
    for name, words in (
        ("empty", "no images"),
        ("nowhere", "does not exist"),
        ("text.txt", "is not a folder"),
        ("broken.npz", "damaged"),
        ("splits.npz", "x_train, x_test"),
        ("split", "sub-folders train"),
        ("torn", "002.png"),
        ("mixed", "2×5 pixels"),
    ):
        with pytest.raises(UsageError, match=words):
            read_external_images(tmp_path / name, SHAPE)
    with pytest.raises(UsageError, match="num_samples=8 is more than the 7"):
        read_external_images(saved(tmp_path / "few", images), SHAPE, 8)
