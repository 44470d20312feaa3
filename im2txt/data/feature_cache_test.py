"""Tests of feature_cache, with features that are means of the images."""

import dataclasses
import json
import os
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import configuration
from im2txt.data import caption_data
from im2txt.data import dataset_facts
from im2txt.data import distinct_images
from im2txt.data import feature_cache
from im2txt.ops import feature_inputs
from im2txt.ops import tfrecords
from im2txt.testing import mean_encoder

MeanEncoder = mean_encoder.MeanEncoder

_CONFIG = configuration.ModelConfig(
    image_height=6,
    image_width=6,
    resize_height=8,
    resize_width=8,
    image_format="png",
    batch_size=4,
)


def _record(image_id, image, word_ids):
  example = tf.train.SequenceExample()
  context = example.context.feature
  context["image/image_id"].int64_list.value.append(image_id)
  context["image/data"].bytes_list.value.append(image)
  caption_ids = example.feature_lists.feature_list["image/caption_ids"]
  for word_id in word_ids:
    caption_ids.feature.add().int64_list.value.append(word_id)
  return example.SerializeToString()


def _png(red, green):
  pixels = np.zeros([8, 8, 3], np.uint8)
  pixels[..., :2] = red, green
  return tf.io.encode_png(pixels).numpy()


def _bytes(path):
  with open(path, "rb") as file:
    return file.read()


_IMAGES = {5: _png(255, 0), -7: _png(0, 0), 9: _png(255, 255)}
# The image ids and captions of two files.
_FILES = (
    [(5, [1, 2, 3]), (-7, [1, 3]), (5, [1, 4, 4, 3])],
    [(-7, [1, 3]), (9, [1, 8, 3]), (5, [1, 5, 3])],
)
_FEATURES = {5: [100, -100, -100], -7: [-100] * 3, 9: [100, 100, -100]}


class FeatureCacheTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = self.create_tempdir().full_path
    self._files = []
    for i, pairs in enumerate(_FILES):
      self._files.append(os.path.join(self._dir, f"pairs-{i}"))
      with tf.io.TFRecordWriter(self._files[-1]) as writer:
        for image_id, word_ids in pairs:
          writer.write(_record(image_id, _IMAGES[image_id], word_ids))

    self._data = caption_data.CaptionData(files=self._files, config=_CONFIG)

  def _write(self, encoder=None, prefix="train", progress=abs, **options):
    feature_cache.write(
        self._data,
        distinct_images.scan(self._data),
        encoder or MeanEncoder(),
        output_dir=os.path.join(self._dir, "features"),
        prefix=prefix,
        options=feature_cache.Options(**{"num_shards": 2, **options}),
        progress=progress,
    )
    return sorted(
        tf.io.gfile.glob(os.path.join(self._dir, "features", prefix + "-*"))
    )

  def _read(self, files):
    layout = feature_inputs.read_layout(files)
    for serialized in tf.data.TFRecordDataset(files):
      features, captions = feature_inputs.parse_feature_example(
          serialized, layout
      )
      yield features.numpy(), captions.to_list()

  def test_writes_each_image_once_with_all_its_captions(self):
    counts = []
    files = self._write(progress=counts.append)
    self.assertSequenceEqual(
        [os.path.basename(file) for file in files],
        ["train-00000-of-00002", "train-00001-of-00002"],
    )
    rows = list(self._read(files))
    for (features, captions), image_id, expected in zip(
        rows,
        _FEATURES,
        distinct_images.scan(self._data).word_ids.values(),
        strict=True,
    ):
      self.assertAllClose(features, [_FEATURES[image_id]])
      self.assertEqual(captions, expected)
    self.assertEqual(sum(counts), 3)

  def test_training_reads_it(self):
    batches = feature_inputs.evaluation_feature_batches(
        self._write(), feature_size=3, batch_size=6
    )
    (batch,) = list(batches)
    self.assertAllClose(batch.images[:3], [_FEATURES[5]] * 3)
    self.assertAllEqual(batch.target_seqs[1], [4, 4, 3])

  def test_views_are_distorted_by_the_seed(self):
    views = [
        np.stack(
            [features for features, _ in self._read(self._write(**kwargs))]
        )
        for kwargs in (
            {"num_views": 3, "seed": 1},
            {"num_views": 3, "seed": 1},
            {"num_views": 3, "seed": 2},
        )
    ]
    self.assertEqual(views[0].shape, (3, 3, 3))
    self.assertAllClose(views[0][:, 0], list(_FEATURES.values()))
    self.assertAllEqual(views[0], views[1])
    # A black image can become brighter, a white one cannot.
    self.assertNotAllClose(views[0][1, 1:], views[2][1, 1:])

  def test_metadata(self):
    self._write()
    self._write(prefix="val", num_shards=1, num_views=2, seed=3)
    path = os.path.join(self._dir, "features", "features.json")
    with open(path, encoding="utf-8") as file:
      metadata = json.load(file)
    self.assertEqual(metadata["preprocessing"]["image_height"], 6)
    self.assertEqual(
        metadata["sets"]["val"],
        {
            "images": 3,
            "captions": 6,
            "largest_word_id": 8,
            "source": metadata["sets"]["train"]["source"],
            "dtype": "float16",
            "num_views": 2,
            "num_shards": 1,
            "seed": 3,
        },
    )
    self.assertIn("train", metadata["sets"])

  def test_vocab_size_of_the_records(self):
    with mock.patch.object(
        dataset_facts,
        "config_fields",
        return_value={"vocab_size": 9, "num_examples_per_epoch": 6},
    ):
      self._write()
    path = os.path.join(self._dir, "features", "features.json")
    with open(path, encoding="utf-8") as file:
      described = json.load(file)["sets"]["train"]
    self.assertEqual(9, described["vocab_size"])

  def test_replaces_the_files_of_the_same_prefix(self):
    self._write(num_shards=3)
    files = self._write(encoder=MeanEncoder(50.0), num_shards=2)
    self.assertLen(files, 2)
    features, _ = next(self._read(files))
    self.assertAllClose(features, [[50, -50, -50]])

  def test_refuses_to_mix_encoders(self):
    self._write()
    with self.assertRaisesRegex(ValueError, r"another encoder \(train\)"):
      self._write(encoder=MeanEncoder(50.0), prefix="val")

  def test_float32(self):
    (file,) = self._write(MeanEncoder(1e5), num_shards=1, dtype="float32")
    self.assertEqual("float32", feature_inputs.read_layout([file]).dtype)
    features, _ = next(self._read([file]))
    self.assertAllClose(features, [[1e5, -1e5, -1e5]])

  def test_killed_run_resumes_with_the_same_bytes(self):
    options = {"num_shards": 3, "num_views": 2}
    expected = [_bytes(file) for file in self._write(**options)]
    tf.io.gfile.rmtree(os.path.join(self._dir, "features"))

    class Killed(BaseException):
      pass

    class DyingEncoder(MeanEncoder):
      calls = 0

      def __call__(self, images):
        self.calls += 1
        if self.calls == 2:
          raise Killed
        return super().__call__(images)

    with self.assertRaises(Killed):
      self._write(DyingEncoder(), **options)
    whole = os.path.join(self._dir, "features", "train-00000-of-00003")
    self.assertEqual(expected[0], _bytes(whole))
    written = os.stat(whole).st_mtime_ns
    counts = []
    files = self._write(progress=counts.append, **options)
    self.assertEqual(expected, [_bytes(file) for file in files])
    self.assertEqual(written, os.stat(whole).st_mtime_ns)
    self.assertEqual([1, 1, 1], counts)

  def test_other_options_start_anew(self):
    with self.assertRaises(ValueError):
      self._write(MeanEncoder(70000.0))
    files = self._write(MeanEncoder(70000.0), num_shards=3, dtype="float32")
    self.assertLen(files, 3)
    self.assertEqual("float32", feature_inputs.read_layout(files).dtype)

  def test_feature_too_large(self):
    with self.assertRaisesRegex(
        ValueError, "70000.0, which do not fit into float16"
    ):
      self._write(encoder=MeanEncoder(70000.0))
    self.assertEqual(
        os.listdir(os.path.join(self._dir, "features")), ["features.json"]
    )

  def test_image_that_cannot_be_decoded(self):
    with tf.io.TFRecordWriter(self._files[1]) as writer:
      writer.write(_record(3, b"no image", [1, 2]))
    with self.assertRaisesRegex(tfrecords.CorruptRecordError, "pairs-1"):
      self._write()


_METADATA_CONFIG = configuration.ModelConfig()


class FakeEncoder:
  """An encoder with weights and without a network."""

  def __init__(self, weight=1.0):
    self.variables_by_name = {"weight": tf.Variable(weight)}


class FeatureMetadataTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self._dir = self.create_tempdir().full_path

  def _files(self, prefix):
    return [
        os.path.join(self._dir, f"{prefix}-0000{i}-of-00002") for i in (0, 1)
    ]

  def _write(self, prefix, encoder):
    self._begin(prefix, encoder)
    feature_cache.end_set(self._dir, prefix)

  def _begin(self, prefix, encoder, images=3):
    return feature_cache.begin_set(
        self._dir, prefix, encoder, _METADATA_CONFIG, {"images": images}
    )

  def test_accepts_the_same_encoder(self):
    self._write("train", FakeEncoder())
    self._write("val", FakeEncoder())
    feature_cache.check_encoder(
        self._files("train") + self._files("val"),
        FakeEncoder(),
        _METADATA_CONFIG,
    )

  def test_refuses_other_weights(self):
    self._write("train", FakeEncoder())
    with self.assertRaisesRegex(ValueError, "with other encoder weights"):
      feature_cache.check_encoder(
          self._files("train"), FakeEncoder(2.0), _METADATA_CONFIG
      )

  def test_refuses_another_preprocessing(self):
    self._write("train", FakeEncoder())
    config = dataclasses.replace(_METADATA_CONFIG, resize_width=400)
    with self.assertRaisesRegex(
        ValueError, "computed with resize_width=346, but the model has .*=400"
    ):
      feature_cache.check_encoder(self._files("train"), FakeEncoder(), config)

  def test_refuses_files_it_does_not_know(self):
    for prefix in ("train", "val"):
      with self.assertRaisesRegex(ValueError, f"does not list '{prefix}'"):
        feature_cache.check_encoder(
            self._files(prefix), FakeEncoder(), _METADATA_CONFIG
        )
      self._write("train", FakeEncoder())

  def test_refuses_files_that_are_being_replaced(self):
    self._write("train", FakeEncoder())
    self._write("val", FakeEncoder())
    self._begin("train", FakeEncoder())
    feature_cache.check_encoder(
        self._files("val"), FakeEncoder(), _METADATA_CONFIG
    )
    with self.assertRaisesRegex(ValueError, "does not list 'train'"):
      feature_cache.check_encoder(
          self._files("train"), FakeEncoder(), _METADATA_CONFIG
      )

  def test_resumes_the_same_set_only(self):
    encoder = FakeEncoder()
    self.assertFalse(self._begin("train", encoder))
    self._write("val", encoder)
    self.assertTrue(self._begin("train", encoder))
    self.assertFalse(self._begin("train", encoder, images=4))
    self.assertTrue(self._begin("train", encoder, images=4))
    feature_cache.end_set(self._dir, "train")
    self.assertFalse(self._begin("train", encoder, images=4))

  def test_does_not_resume_with_another_encoder(self):
    for weight in (1.0, 2.0, 1.0):
      self.assertFalse(self._begin("train", FakeEncoder(weight)))

  def test_a_set_alone_may_change_its_encoder(self):
    self._write("train", FakeEncoder())
    self._write("train", FakeEncoder(2.0))
    feature_cache.check_encoder(
        self._files("train"), FakeEncoder(2.0), _METADATA_CONFIG
    )
    with self.assertRaisesRegex(ValueError, r"another encoder \(train\)"):
      self._write("val", FakeEncoder())

  def test_names_what_is_damaged(self):
    path = os.path.join(self._dir, dataset_facts.FEATURES_FILE)
    with open(path, "wb") as file:
      file.write(bytes(9))
    with self.assertRaisesRegex(ValueError, f"^{path} is damaged. Delete it,"):
      self._begin("train", FakeEncoder())


if __name__ == "__main__":
  tf.test.main()
