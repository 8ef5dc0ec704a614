"""The files of TensorBoard's projector, read as TensorBoard reads them."""

import functools

import numpy as np
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tfade.models.gan import GAN
from tfade.networks.sngan import SNGANDiscriminator, SNGANGenerator
from tfade.training import projector

GENERATOR = np.random.default_rng(0)
CODES, PRIOR = GENERATOR.normal(size=(4, 3)), GENERATOR.normal(size=(3, 3))
IMAGES = GENERATOR.integers(0, 256, size=(4, 5, 6, 1), dtype=np.uint8)
PRIOR_IMAGES = GENERATOR.uniform(size=(3, 5, 6, 1))


def read(logs):
    (embedding,) = text_format.Parse((logs / "projector_config.pbtxt").read_text(), ProjectorConfig()).embeddings
    return embedding


def test_files_and_what_they_hold(tmp_path):
    projector.write_projector(tmp_path, CODES, IMAGES, [3, 1, 4, 1], PRIOR, PRIOR_IMAGES)
    embedding = read(tmp_path)
    points = np.loadtxt(tmp_path / embedding.tensor_path, delimiter="\t")
    np.testing.assert_allclose(points, np.concatenate([CODES, PRIOR]), rtol=1e-5)
    rows = (tmp_path / embedding.metadata_path).read_text().splitlines()
    assert rows == ["kind\tlabel", "data\t3", "data\t1", "data\t4", "data\t1", *["prior\t–"] * 3]
    sprite = np.asarray(Image.open(tmp_path / embedding.sprite.image_path))
    assert list(embedding.sprite.single_image_dim) == [6, 5]  # width first
    assert sprite.shape == (3 * 5, 3 * 6)
    np.testing.assert_array_equal(sprite[5:10, :6], IMAGES[3, ..., 0])
    np.testing.assert_allclose(sprite[10:, :6], PRIOR_IMAGES[2, ..., 0] * 255, atol=0.51)
    assert (sprite[10:, 6:] == 255).all()


def test_data_without_labels_and_images_beyond_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(projector, "LARGEST_SPRITE", 17)
    projector.write_projector(tmp_path, CODES, IMAGES, None, PRIOR, PRIOR_IMAGES)
    embedding = read(tmp_path)
    assert not embedding.HasField("sprite")
    assert not (tmp_path / "projector" / "sprite.png").exists()
    assert "data\t–" in (tmp_path / embedding.metadata_path).read_text()


def test_codes_of_a_model(make_model, source, tmp_path, monkeypatch):
    assert projector.project(make_model(), source, tmp_path, 10)
    points = np.loadtxt(tmp_path / read(tmp_path).tensor_path)
    assert points.shape == (20, 6)
    assert len(np.unique(points, axis=0)) == 20
    assert (tmp_path / "projector" / "metadata.tsv").read_text().count("prior") == 10
    monkeypatch.setattr(projector, "LARGEST_CODE", 5)
    assert not projector.project(make_model(), source, tmp_path / "other", 10)
    assert not (tmp_path / "other").exists()


def test_models_without_an_encoder_have_none(source, tmp_path):
    small = {"generator": functools.partial(SNGANGenerator, width=2)}
    model = GAN((16, 16, 3), 6, **small, discriminator=functools.partial(SNGANDiscriminator, width=2))
    assert not projector.project(model, source, tmp_path, 10)
    assert not list(tmp_path.iterdir())
