"""Tests of sequence_example, with TensorFlow's class of the protocol buffer."""

from absl.testing import parameterized
import tensorflow as tf

from im2txt.data import sequence_example


def _bytes(value: bytes) -> tf.train.Feature:
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int64(value: int) -> tf.train.Feature:
  return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _expected(image_id, image, words, word_ids) -> tf.train.SequenceExample:
  return tf.train.SequenceExample(
      context=tf.train.Features(
          feature={
              "image/image_id": _int64(image_id),
              "image/data": _bytes(image),
          }
      ),
      feature_lists=tf.train.FeatureLists(
          feature_list={
              "image/caption": tf.train.FeatureList(
                  feature=[_bytes(word.encode()) for word in words]
              ),
              "image/caption_ids": tf.train.FeatureList(
                  feature=[_int64(word_id) for word_id in word_ids]
              ),
          }
      ),
  )


class SequenceExampleTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(
      (
          "usual",
          139,
          b"\xff\xd8 jpeg",
          ["<S>", "a", "dog", "</S>"],
          [1, 0, 9, 2],
      ),
      ("empty", 0, b"", [], []),
      (
          "ids_of_one_and_more_bytes",
          127,
          b"x",
          ["a"] * 4,
          [127, 128, 300, 16384],
      ),
      ("largest_image_id", 2**63 - 1, b"x", ["a"], [0]),
      ("negative_image_id", -1, b"x", ["a"], [0]),
      ("smallest_image_id", -(2**63), b"x", ["a"], [0]),
      ("long_image", 5, b"\x00\x80\xff" * 70_000, ["a"], [0]),
      ("long_caption", 5, b"x", ["word"] * 999, list(range(999))),
      ("any_script", 5, b"x", ["犬", "é", "🐕", "x" * 200], [3, 4, 5, 6]),
  )
  def test_equals_the_class(self, image_id, image, words, word_ids):
    encoded = b"".join(
        sequence_example.encode(image_id, image, words, word_ids)
    )
    expected = _expected(image_id, image, words, word_ids)
    self.assertEqual(tf.train.SequenceExample.FromString(encoded), expected)
    self.assertLen(encoded, expected.ByteSize())

  def test_tensorflow_parses_it(self):
    encoded = b"".join(
        sequence_example.encode(139, b"jpeg", ["<S>", "é", "</S>"], [1, 200, 2])
    )
    context, sequence = tf.io.parse_single_sequence_example(
        encoded,
        context_features={
            "image/image_id": tf.io.FixedLenFeature([], tf.int64),
            "image/data": tf.io.FixedLenFeature([], tf.string),
        },
        sequence_features={
            "image/caption": tf.io.FixedLenSequenceFeature([], tf.string),
            "image/caption_ids": tf.io.FixedLenSequenceFeature([], tf.int64),
        },
    )
    self.assertEqual(context["image/image_id"].numpy(), 139)
    self.assertEqual(context["image/data"].numpy(), b"jpeg")
    self.assertAllEqual(
        sequence["image/caption"], [b"<S>", "é".encode(), b"</S>"]
    )
    self.assertAllEqual(sequence["image/caption_ids"], [1, 200, 2])

  def test_the_image_is_not_copied(self):
    image = b"some image"
    self.assertIs(sequence_example.encode(1, image, ["a"], [0])[1], image)


if __name__ == "__main__":
  tf.test.main()
