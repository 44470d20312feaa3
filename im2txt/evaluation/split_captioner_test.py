"""Tests of captioning a split; what a `Captioner` finds is the expectation."""

import os

import tensorflow as tf

from im2txt import captioning
from im2txt import show_and_tell_model
from im2txt.evaluation import split_captioner
from im2txt.inference_utils import vocabulary
from im2txt.input_data import caption_data
from im2txt.input_data import distinct_images
from im2txt.ops import records
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class SplitCaptionerTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(self.dir))

  def _data(self, **kwargs):
    return caption_data.CaptionData(config=tiny_captioning.CONFIG, **kwargs)

  def test_each_image_as_a_captioner_does(self):
    data = self._data(files=[tiny.write_pairs(self.dir, "val", 12, 2)])
    model = tiny_captioning.make_model()
    captioner = split_captioner.SplitCaptioner(
        model, self.vocab, data, beam_size=2, max_caption_length=6
    )
    found = captioner.caption()
    self.assertEqual(list(range(6)), list(found))
    images = distinct_images.encoded_images(data, captioner.split)
    expected = captioning.Captioner(model, self.vocab).caption(
        images, batch_size=4, beam_size=2, max_caption_length=6
    )
    self.assertEqual(
        [[caption.words for caption in image] for image in expected],
        [[caption.words for caption in image] for image in found.values()],
    )

  def test_features_and_new_weights(self):
    data = self._data(
        files=[tiny.write_features(self.dir, "features", 5)], are_features=True
    )
    model = show_and_tell_model.ShowAndTellModel(tiny_captioning.CONFIG, "eval")
    captioner = split_captioner.SplitCaptioner(
        model, self.vocab, data, beam_size=1, max_caption_length=3
    )
    for word in ("sky", "sea"):
      bias = tf.one_hot(self.vocab.word_to_id(word), tiny.VOCAB_SIZE, 99.0)
      model.decoder.logits_biases.assign(bias)
      found = captioner.caption()
      self.assertEqual(list(range(5)), list(found))
      self.assertEqual(f"{word} {word}", found[4][0].sentence)

  def test_damaged_image(self):
    path = tiny.write_pairs(self.dir, "val", 2)
    examples = [
        tf.train.SequenceExample.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(path)
    ]
    examples[1].context.feature["image/data"].bytes_list.value[0] = b"no JPEG"
    damaged = os.path.join(self.dir, "damaged")
    with tf.io.TFRecordWriter(damaged) as writer:
      for example in examples:
        writer.write(example.SerializeToString())
    captioner = split_captioner.SplitCaptioner(
        tiny_captioning.make_model(), self.vocab, self._data(files=[damaged])
    )
    with self.assertRaisesRegex(records.CorruptRecordError, "damaged"):
      captioner.caption()


if __name__ == "__main__":
  tf.test.main()
