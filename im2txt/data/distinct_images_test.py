"""Tests of distinct_images."""

import dataclasses
import os

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.data import caption_data
from im2txt.data import distinct_images
from im2txt.inference_utils import vocabulary
from im2txt.ops import feature_inputs
from im2txt.ops import tfrecords
from im2txt.testing import made_up_features
from im2txt.testing import tiny

_CHANCE = np.random.default_rng(1)


def _sentence(word_ids):
  return " ".join(tiny.WORDS[i] for i in word_ids[1:-1])


def _pair(image_id, image=b"", *, words=(b"a", b"b", b"c")):
  """Returns a pair with "a" as the start word and "c" as the end word."""
  example = tf.train.SequenceExample()
  if image_id is not None:
    feature = example.context.feature["image/image_id"]
    feature.int64_list.value.append(image_id)
  example.context.feature["image/data"].bytes_list.value.append(image)
  lists = example.feature_lists.feature_list
  for word_id, word in enumerate(words):
    lists["image/caption"].feature.add().bytes_list.value.append(word)
    lists["image/caption_ids"].feature.add().int64_list.value.append(word_id)
  return example


def _of_features(image_id, image):
  """Returns a record with two views, the second randomly distorted."""
  views = np.array([[*image], _CHANCE.normal(size=len(image))])
  return tf.train.SequenceExample.FromString(
      feature_inputs.serialize_feature_example(
          image_id, views.astype(np.float16), [[1, 3, 2]]
      )
  )


class DistinctImagesTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(self.dir))

  def _pairs(self):
    return caption_data.CaptionData(
        files=[
            tiny.write_pairs(self.dir, "val-0", 6, 2),
            tiny.write_pairs(self.dir, "val-1", 2, 2),  # Image 0 again.
        ],
        config=tiny.CONFIG,
    )

  def _features(self):
    return made_up_features.write(self.dir, 5)

  def test_pairs_are_grouped_by_image(self):
    counts = []
    split = distinct_images.scan(
        self._pairs(), self.vocab, progress=counts.append
    )
    self.assertEqual(8, sum(counts))
    captions = tiny.captions(6)
    sentences = list(map(_sentence, captions))
    self.assertEqual(
        {
            0: [*sentences[:2], *sentences[:2]],
            1: sentences[2:4],
            2: sentences[4:],
        },
        split.references,
    )
    self.assertEqual(captions[2:4], split.word_ids[1])
    self.assertEqual([0, 1, 2], split.image_ids)
    self.assertEqual([True, False] * 3 + [False] * 2, split.is_first)

  def test_features_have_ids_that_the_vocabulary_knows(self):
    split = distinct_images.scan(self._features(), self.vocab)
    captions = tiny.captions(10)
    self.assertEqual([0, 1, 2, 3, 4], split.image_ids)
    self.assertEqual(
        [_sentence(captions[8]), _sentence(captions[9])], split.references[4]
    )
    self.assertEqual(captions[:2], split.word_ids[0])

  @parameterized.named_parameters(
      ("pairs", "_pairs", [[3, 75, 75, 3]]),
      ("features", "_features", [[4, tiny.FEATURE_SIZE], [1, 108]]),
  )
  def test_each_image_once(self, make, shapes):
    data = getattr(self, make)()
    batches = distinct_images.image_batches(
        data,
        distinct_images.scan(data, self.vocab),
        feature_size=tiny.FEATURE_SIZE,
    )
    self.assertEqual(shapes, [batch.shape.as_list() for batch in batches])

  def test_images_are_those_of_the_first_records(self):
    data = self._pairs()
    split = distinct_images.scan(data, self.vocab)
    stored = [
        tf.train.SequenceExample.FromString(record.numpy())
        .context.feature["image/data"]
        .bytes_list.value[0]
        for record in tf.data.TFRecordDataset(data.files[0])
    ]
    self.assertEqual(
        stored[::2], list(distinct_images.encoded_images(data, split))
    )

  def test_records_of_some_images(self):
    data = self._pairs()
    split = distinct_images.scan(data)
    records = distinct_images.first_records(data, split, [0, 2])
    self.assertEqual([0, 4], [int(index) for index, _ in records])

  @parameterized.named_parameters(
      ("shard", ["/data/test-00000-of-00008"], "test"),
      ("dashes", ["/data/my-own-split-00-of-04"], "my-own-split"),
      ("other", ["/data/records"], "val"),
      (
          "several",
          ["/a/val-0-of-2", "/a/val-1-of-2", "/b/test-0-of-1"],
          "test_val",
      ),
  )
  def test_name(self, files, expected):
    self.assertEqual(expected, distinct_images.split_name(files))

  def _write(self, name, *examples):
    path = os.path.join(self.dir, name)
    with tf.io.TFRecordWriter(path) as writer:
      for example in examples:
        writer.write(example.SerializeToString())
    return path

  def _scan(self, *examples):
    data = caption_data.CaptionData(
        files=[self._write("records", *examples)], config=tiny.CONFIG
    )
    return distinct_images.scan(data, self.vocab)

  def test_nothing_to_evaluate(self):
    with self.assertRaisesRegex(ValueError, "contains no captions: .*records"):
      self._scan()

  def test_record_without_image_id(self):
    with self.assertRaisesRegex(ValueError, "no image/image_id"):
      self._scan(_pair(None))

  @parameterized.named_parameters(
      ("pairs", _pair, False), ("features", _of_features, True)
  )
  def test_two_images_of_a_number(self, example, are_features):
    files = [
        self._write("a-0", example(7, b"x"), example(8, b"y")),
        self._write("a-1", example(9, b"z"), example(7, b"x")),
        self._write("b-0", example(1, b"u"), example(9, b"v")),
    ]
    data = caption_data.CaptionData(
        files=files[:2], config=tiny.CONFIG, are_features=are_features
    )
    self.assertEqual([7, 8, 9], distinct_images.scan(data).image_ids)
    with self.assertRaisesRegex(
        ValueError, "the id 9, one in .*a-1, one in .*b-0. Build one of"
    ):
      distinct_images.scan(dataclasses.replace(data, files=files))

  def test_any_number_is_an_id(self):
    self.assertEqual({-1: ["b"]}, self._scan(_pair(-1)).references)

  def test_words_as_python_3_shows_bytes(self):
    words = b"b'<S>'", b"b'caf\\xc3\\xa9'", b'b"\'s"', b"b'", b"b'</S>'"
    split = self._scan(_pair(1, words=words))
    self.assertEqual({1: ["café 's b'"]}, split.references)

  def test_captions_under_another_name(self):
    data = self._pairs()
    config = dataclasses.replace(
        tiny.CONFIG, caption_feature_name="image/caption"
    )
    with self.assertRaisesRegex(tfrecords.CorruptRecordError, "val-0"):
      distinct_images.scan(dataclasses.replace(data, config=config))

  @parameterized.parameters("_pairs", "_features")
  def test_truncated_file(self, make):
    data = getattr(self, make)()
    with open(data.files[-1], "r+b") as file:
      file.truncate(file.seek(0, os.SEEK_END) - 3)
    with self.assertRaisesRegex(tfrecords.CorruptRecordError, data.files[-1]):
      distinct_images.scan(data)


if __name__ == "__main__":
  tf.test.main()
