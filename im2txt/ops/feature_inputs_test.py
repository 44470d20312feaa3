"""Tests of feature_inputs."""

import itertools
from pathlib import Path

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import example_order
from im2txt.ops import feature_inputs
from im2txt.ops import tfrecords

# Two views of three values that float16 represents exactly.
_FEATURES = np.array([[1, -2.5, 0], [3, 4, 65504]])
_CAPTIONS = [[1, 7, 8, 2], [1, 2], [1, 9, 2]]


def _serialized(dtype="float16", features=_FEATURES, captions=_CAPTIONS):
  return feature_inputs.serialize_feature_example(
      42, features.astype(dtype), captions
  )


class FeatureRecordsTest(tf.test.TestCase, parameterized.TestCase):

  def write(self, *contents):
    path = Path(self.create_tempdir()) / "features"
    with tf.io.TFRecordWriter(str(path)) as writer:
      for serialized in contents:
        writer.write(serialized)
    return str(path)

  def test_the_format(self):
    example = tf.train.SequenceExample.FromString(
        _serialized(
            features=np.array([[1, -2]]), captions=[[1, 300, 2], [1, 2]]
        )
    )
    self.assertProtoEquals(
        r"""
        context {
          feature {
            key: "image/feature_dtype"
            value { bytes_list { value: "float16" } }
          }
          feature {
            key: "image/features"
            value { bytes_list { value: "\000<\000\300" } }
          }
          feature {
            key: "image/image_id"
            value { int64_list { value: 42 } }
          }
        }
        feature_lists {
          feature_list {
            key: "image/caption_ids"
            value {
              feature { int64_list { value: [1, 300, 2] } }
              feature { int64_list { value: [1, 2] } }
            }
          }
        }
        """,
        example,
    )

  @parameterized.parameters(
      (np.zeros([2, 3]), "float64 of shape \\[2, 3\\]"),
      (np.zeros([3], np.float16), "float16 of shape \\[3\\]"),
  )
  def test_other_arrays_are_refused(self, features, got):
    with self.assertRaisesRegex(ValueError, f"Got: {got}"):
      feature_inputs.serialize_feature_example(1, features, [])

  @parameterized.parameters("float16", "float32")
  def test_round_trip(self, dtype):
    serialized = tf.constant(_serialized(dtype))
    layout = feature_inputs.read_layout([self.write(serialized.numpy())])
    self.assertEqual(layout, (2, 3, dtype))

    def parse(serialized):
      return feature_inputs.parse_feature_example(serialized, layout)

    dataset = tf.data.Dataset.from_tensors(serialized).map(parse)
    for features, captions in (parse(serialized), next(iter(dataset))):
      self.assertEqual(features.dtype, tf.float32)
      self.assertAllEqual(features, _FEATURES)
      self.assertEqual(captions.dtype, tf.int64)
      self.assertAllEqual(captions, tf.ragged.constant(_CAPTIONS))

  def test_big_endian_arrays_are_stored_little_endian(self):
    self.assertEqual(_serialized(">f2"), _serialized("<f2"))

  def test_several_at_once(self):
    layout = feature_inputs.FeatureLayout(2, 3, "float16")
    views, captions = feature_inputs.parse_feature_examples(
        tf.constant([_serialized(), _serialized(captions=[])]), layout
    )
    self.assertEqual(views.shape, [2, 2])
    self.assertAllEqual(
        feature_inputs.decode_features(views, layout), [_FEATURES] * 2
    )
    self.assertAllEqual(captions, tf.ragged.constant([_CAPTIONS, []], 2))

  @parameterized.named_parameters(
      ("fewer_views", {"features": _FEATURES[:1]}),
      ("fewer_values", {"features": _FEATURES[:, :2]}),
      ("another_type", {"dtype": "float32"}),
      ("a_caption_of_one_word", {"captions": [[1, 2], [1]]}),
  )
  def test_another_layout_is_an_error(self, changes):
    layout = feature_inputs.FeatureLayout(2, 3, "float16")
    with self.assertRaises(tf.errors.InvalidArgumentError):
      feature_inputs.parse_feature_example(
          tf.constant(_serialized(**changes)), layout
      )

  def test_the_layout_of_the_first_record(self):
    files = [self.write(), self.write(_serialized())]
    self.assertEqual(
        feature_inputs.read_layout(files),
        feature_inputs.FeatureLayout(2, 3, "float16"),
    )

  def test_no_record(self):
    with self.assertRaisesRegex(ValueError, "hold no record: .*/features"):
      feature_inputs.read_layout([self.write()])

  def test_records_of_images(self):
    example = tf.train.SequenceExample()
    example.context.feature["image/data"].bytes_list.value.append(b"JPEG")
    with self.assertRaisesRegex(ValueError, "/features holds no cached feat"):
      feature_inputs.read_layout([self.write(example.SerializeToString())])

  @parameterized.parameters(
      ([_serialized()], True), ([b"no example"], False), ([], False)
  )
  def test_are_features(self, contents, expected):
    self.assertEqual(
        expected, feature_inputs.are_features([self.write(*contents)])
    )

  def test_a_corrupt_first_record(self):
    path = Path(self.write(_serialized()))
    path.write_bytes(path.read_bytes()[:-1])
    with self.assertRaisesRegex(
        tfrecords.CorruptRecordError, "Record 0 of .*/features .*cut short"
    ):
      feature_inputs.read_layout([str(path)])


def _image(number, num_captions, num_views=3):
  """Serializes an image; features and captions contain its number."""
  features = np.array([[number, view] for view in range(num_views)], np.float16)
  captions = [[1, number, *[9] * c, 2] for c in range(num_captions)]
  return feature_inputs.serialize_feature_example(number, features, captions)


class CachedFeaturesTestCase(tf.test.TestCase, parameterized.TestCase):

  def setUp(self):
    super().setUp()
    # Seven pairs of four images in two files.
    self.files = [
        self.write("pairs-0", [_image(10, 1), _image(11, 3)]),
        self.write("pairs-1", [_image(12, 0), _image(13, 3)]),
    ]

  def write(self, name, contents):
    path = str(Path(self.create_tempdir()) / name)
    with tf.io.TFRecordWriter(path) as writer:
      for serialized in contents:
        writer.write(serialized)
    return path

  def evaluation_batches(self, **kwargs):
    kwargs = {"feature_size": 2, "batch_size": 3} | kwargs
    return feature_inputs.evaluation_feature_batches(self.files, **kwargs)

  def training_batches(self, number, **kwargs):
    fields = {"batch_size": 2, "seed": 3, "shuffle_buffer_size": 4} | kwargs
    dataset = feature_inputs.training_feature_batches(
        self.files, example_order.TrainingOrder(**fields), feature_size=2
    )
    return list(itertools.islice(dataset.as_numpy_iterator(), number))


class EvaluationFeatureBatchesTest(CachedFeaturesTestCase):

  def test_every_pair_once_in_order_by_its_first_view(self):
    first, second, third = self.evaluation_batches().as_numpy_iterator()
    self.assertAllEqual(first.images, [[10, 0], [11, 0], [11, 0]])
    self.assertAllEqual(first.input_seqs, [[1, 10, 0], [1, 11, 0], [1, 11, 9]])
    self.assertAllEqual(first.target_seqs, [[10, 2, 0], [11, 2, 0], [11, 9, 2]])
    self.assertAllEqual(first.input_mask, [[1, 1, 0], [1, 1, 0], [1, 1, 1]])
    self.assertAllEqual(second.images, [[11, 0], [13, 0], [13, 0]])
    self.assertAllEqual(third.images, [[13, 0]])
    self.assertAllEqual(third.target_seqs, [[13, 9, 9, 2]])

  def test_types(self):
    spec = self.evaluation_batches().element_spec
    self.assertEqual(spec.images, tf.TensorSpec([None, 2], tf.float32))
    self.assertEqual(spec.input_seqs, tf.TensorSpec([None, None], tf.int64))
    self.assertEqual(spec.target_seqs, tf.TensorSpec([None, None], tf.int64))
    self.assertEqual(spec.input_mask, tf.TensorSpec([None, None], tf.int32))

  def test_features_of_another_size_are_refused(self):
    with self.assertRaisesRegex(
        ValueError, "pairs-0 have 2 features, but the model takes 2048"
    ):
      self.evaluation_batches(feature_size=2048)


class TrainingFeatureBatchesTest(CachedFeaturesTestCase):

  def test_each_epoch_has_every_pair_once(self):
    batches = self.training_batches(14)
    pairs = [
        (int(image[0]), int(mask.sum()) - 2)
        for batch in batches
        for image, mask in zip(batch.images, batch.input_mask, strict=True)
    ]
    expected = [(10, 0), *[(n, c) for n in (11, 13) for c in range(3)]]
    for start in range(0, 28, 7):
      self.assertCountEqual(pairs[start : start + 7], expected)
    self.assertNotEqual(pairs[:7], pairs[7:14])

  def test_captions_stay_with_their_images(self):
    for batch in self.training_batches(7):
      self.assertAllEqual(batch.images[:, 0], batch.target_seqs[:, 0])

  def test_views_are_drawn_evenly(self):
    images = np.concatenate([b.images for b in self.training_batches(300)])
    counts = np.bincount(images[:, 1].astype(int))
    self.assertAllInRange(counts, 150, 250)  # Of 600; three views.

  @parameterized.product(start_example=(2, 8, 20), bucket_batches=(1, 4))
  def test_resumes_with_the_same_batches(self, start_example, bucket_batches):
    kwargs = {"bucket_batches": bucket_batches}
    whole = self.training_batches(15, **kwargs)[start_example // 2 :]
    resumed = self.training_batches(
        len(whole), start_example=start_example, **kwargs
    )
    for batch, expected in zip(resumed, whole, strict=True):
      self.assertAllEqual(batch.images, expected.images)
      self.assertAllEqual(batch.input_seqs, expected.input_seqs)

  def test_resumes_between_batches_only(self):
    with self.assertRaisesRegex(ValueError, "multiple of 2, .* Got: 3"):
      self.training_batches(1, start_example=3)


class ViewDecodersTest(CachedFeaturesTestCase):

  def setUp(self):
    super().setUp()
    dataset = tf.data.TFRecordDataset(self.files)
    self.serialized = list(dataset)
    self.dataset = dataset

  def test_first_view(self):
    decode = feature_inputs.first_view_decoder(self.files, 2)
    expected = [[number, 0] for number in (10, 11, 12, 13)]
    self.assertAllEqual(expected, [decode(s) for s in self.serialized])
    mapped = self.dataset.map(decode)
    self.assertEqual(tf.TensorSpec([2], tf.float32), mapped.element_spec)
    self.assertAllEqual(expected, list(mapped))

  def test_random_views(self):
    decode = feature_inputs.random_view_decoder(self.files, 2)
    serialized = tf.stack(self.serialized * 50)
    features = decode(serialized, tf.constant([1, 2]))
    self.assertAllEqual([10, 11, 12, 13] * 50, features[:, 0])
    counts = np.bincount(features[:, 1].numpy().astype(int))
    self.assertAllInRange(counts, 45, 90)  # Of 200; three views.
    graph = tf.function(decode, autograph=False)
    self.assertAllEqual(features, graph(serialized, tf.constant([1, 2])))
    self.assertNotAllEqual(features, graph(serialized, tf.constant([1, 3])))

  def test_another_size(self):
    for make in (
        feature_inputs.first_view_decoder,
        feature_inputs.random_view_decoder,
    ):
      with self.assertRaisesRegex(ValueError, "but the model takes 3"):
        make(self.files, 3)


class CountPairsTest(CachedFeaturesTestCase):

  def test_counts_captions(self):
    layout = feature_inputs.read_layout(self.files)
    self.assertEqual(feature_inputs.count_pairs(self.files, layout), 7)

  def test_finds_a_caption(self):
    feature_inputs.check_captions(self.files)
    without = self.create_tempfile("without").full_path
    with tf.io.TFRecordWriter(without) as writer:
      writer.write(
          feature_inputs.serialize_feature_example(
              1, np.zeros([3, 2], np.float32), []
          )
      )
    feature_inputs.check_captions([without, *self.files])
    with self.assertRaisesRegex(ValueError, f"no caption: {without}"):
      feature_inputs.check_captions([without])

  def test_names_the_corrupt_file(self):
    layout = feature_inputs.read_layout(self.files)
    path = Path(self.files[1])
    path.write_bytes(path.read_bytes()[:-1])
    with self.assertRaisesRegex(
        tfrecords.CorruptRecordError, "Record 1 of .*/pairs-1 .*cut short"
    ):
      feature_inputs.count_pairs(self.files, layout)


class FindCorruptRecordTest(CachedFeaturesTestCase):

  def test_sound_files(self):
    self.assertIsNone(feature_inputs.find_corrupt_record(self.files))

  @parameterized.named_parameters(
      ("fewer_views", _image(9, 1, num_views=2), "image/features"),
      ("no_example", b"?", "Invalid protocol"),
  )
  def test_another_layout(self, serialized, reason):
    self.files.append(self.write("bad", [_image(1, 1), serialized]))
    with self.assertRaises(tf.errors.InvalidArgumentError):
      list(self.evaluation_batches())
    error = feature_inputs.find_corrupt_record(self.files)
    self.assertRegex(str(error), f"Record 1 of .*/bad .* used: .*{reason}")


if __name__ == "__main__":
  tf.test.main()
