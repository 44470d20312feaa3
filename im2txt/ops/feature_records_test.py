"""Tests for feature_records."""

from pathlib import Path

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import feature_records
from im2txt.ops import tfrecords

# Two views of three values, all of which float16 holds exactly.
_FEATURES = np.array([[1, -2.5, 0], [3, 4, 65504]])
_CAPTIONS = [[1, 7, 8, 2], [1, 2], [1, 9, 2]]


def _serialized(dtype="float16", features=_FEATURES, captions=_CAPTIONS):
  return feature_records.serialize_feature_example(
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
      feature_records.serialize_feature_example(1, features, [])

  @parameterized.parameters("float16", "float32")
  def test_round_trip(self, dtype):
    serialized = tf.constant(_serialized(dtype))
    layout = feature_records.read_layout([self.write(serialized.numpy())])
    self.assertEqual(layout, (2, 3, dtype))

    def parse(serialized):
      return feature_records.parse_feature_example(serialized, layout)

    dataset = tf.data.Dataset.from_tensors(serialized).map(parse)
    for features, captions in (parse(serialized), next(iter(dataset))):
      self.assertEqual(features.dtype, tf.float32)
      self.assertAllEqual(features, _FEATURES)
      self.assertEqual(captions.dtype, tf.int64)
      self.assertAllEqual(captions, tf.ragged.constant(_CAPTIONS))

  def test_big_endian_arrays_are_stored_little_endian(self):
    self.assertEqual(_serialized(">f2"), _serialized("<f2"))

  def test_several_at_once(self):
    layout = feature_records.FeatureLayout(2, 3, "float16")
    views, captions = feature_records.parse_feature_examples(
        tf.constant([_serialized(), _serialized(captions=[])]), layout
    )
    self.assertEqual(views.shape, [2, 2])
    self.assertAllEqual(
        feature_records.decode_features(views, layout), [_FEATURES] * 2
    )
    self.assertAllEqual(captions, tf.ragged.constant([_CAPTIONS, []], 2))

  @parameterized.named_parameters(
      ("fewer_views", {"features": _FEATURES[:1]}),
      ("fewer_values", {"features": _FEATURES[:, :2]}),
      ("another_type", {"dtype": "float32"}),
      ("a_caption_of_one_word", {"captions": [[1, 2], [1]]}),
  )
  def test_another_layout_is_an_error(self, changes):
    layout = feature_records.FeatureLayout(2, 3, "float16")
    with self.assertRaises(tf.errors.InvalidArgumentError):
      feature_records.parse_feature_example(
          tf.constant(_serialized(**changes)), layout
      )

  def test_the_layout_of_the_first_record(self):
    files = [self.write(), self.write(_serialized())]
    self.assertEqual(
        feature_records.read_layout(files),
        feature_records.FeatureLayout(2, 3, "float16"),
    )

  def test_no_record(self):
    with self.assertRaisesRegex(ValueError, "hold no record: .*/features"):
      feature_records.read_layout([self.write()])

  def test_records_of_images(self):
    example = tf.train.SequenceExample()
    example.context.feature["image/data"].bytes_list.value.append(b"JPEG")
    with self.assertRaisesRegex(ValueError, "/features holds no cached feat"):
      feature_records.read_layout([self.write(example.SerializeToString())])

  @parameterized.parameters(
      ([_serialized()], True), ([b"no example"], False), ([], False)
  )
  def test_are_features(self, contents, expected):
    self.assertEqual(
        expected, feature_records.are_features([self.write(*contents)])
    )

  def test_a_corrupt_first_record(self):
    path = Path(self.write(_serialized()))
    path.write_bytes(path.read_bytes()[:-1])
    with self.assertRaisesRegex(
        tfrecords.CorruptRecordError, "Record 0 of .*/features .*cut short"
    ):
      feature_records.read_layout([str(path)])


if __name__ == "__main__":
  tf.test.main()
