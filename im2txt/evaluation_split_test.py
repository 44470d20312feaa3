"""Tests of the distinct images of a split, on records of a few images."""

import os

from absl.testing import parameterized
import tensorflow as tf

from im2txt import caption_data
from im2txt import evaluation_split
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny


def _sentence(word_ids):
  return " ".join(tiny.WORDS[i] for i in word_ids[1:-1])


class EvaluationSplitTest(parameterized.TestCase, tf.test.TestCase):

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
    return caption_data.CaptionData(
        files=[tiny.write_features(self.dir, "features", 5)],
        config=tiny.CONFIG,
        are_features=True,
    )

  def test_pairs_are_grouped_by_image(self):
    split = evaluation_split.scan(self._pairs(), self.vocab)
    captions = tiny.captions(6)
    said = list(map(_sentence, captions))
    self.assertEqual(
        {0: [*said[:2], *said[:2]], 1: said[2:4], 2: said[4:]},
        split.references,
    )
    self.assertEqual(captions[2:4], split.word_ids[1])
    self.assertEqual([0, 1, 2], split.image_ids)
    self.assertEqual([True, False] * 3 + [False] * 2, split.is_first)

  def test_features_have_ids_that_the_vocabulary_knows(self):
    split = evaluation_split.scan(self._features(), self.vocab)
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
    batches = evaluation_split.image_batches(
        data,
        evaluation_split.scan(data, self.vocab),
        feature_size=tiny.FEATURE_SIZE,
    )
    self.assertEqual(shapes, [batch.shape.as_list() for batch in batches])

  def test_images_are_those_of_the_first_records(self):
    data = self._pairs()
    split = evaluation_split.scan(data, self.vocab)
    stored = [
        tf.train.SequenceExample.FromString(record.numpy())
        .context.feature["image/data"]
        .bytes_list.value[0]
        for record in tf.data.TFRecordDataset(data.files[0])
    ]
    self.assertEqual(
        stored[::2], list(evaluation_split.encoded_images(data, split))
    )

  @parameterized.named_parameters(
      ("shard", "/data/test-00000-of-00008", "test"),
      ("dashes", "/data/my-own-split-00-of-04", "my-own-split"),
      ("other", "/data/records", "val"),
  )
  def test_name(self, file, expected):
    self.assertEqual(expected, evaluation_split.name_of([file]))

  def _scan(self, *examples):
    path = os.path.join(self.dir, "records")
    with tf.io.TFRecordWriter(path) as writer:
      for example in examples:
        writer.write(example.SerializeToString())
    data = caption_data.CaptionData(files=[path], config=tiny.CONFIG)
    return evaluation_split.scan(data, self.vocab)

  def test_nothing_to_evaluate(self):
    with self.assertRaisesRegex(ValueError, "holds no caption: .*records"):
      self._scan()

  def test_record_without_image_id(self):
    with self.assertRaisesRegex(ValueError, "no image/image_id"):
      self._scan(tf.train.SequenceExample())


if __name__ == "__main__":
  tf.test.main()
