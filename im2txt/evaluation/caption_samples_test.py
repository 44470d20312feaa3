"""Tests of the images that TensorBoard shows with their captions."""

import types

import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt.evaluation import caption_samples
from im2txt.inference import captions
from im2txt.inference_utils import vocabulary
from im2txt.input_data import caption_data
from im2txt.input_data import distinct_images
from im2txt.testing import made_up_features
from im2txt.testing import tiny


def _captioner(data, folder):
  vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
  return types.SimpleNamespace(
      data=data, split=distinct_images.scan(data, vocab)
  )


def _caption(sentence):
  return captions.Caption(
      words=tuple(sentence.split()),
      log_probability=np.log(0.25),
      word_probabilities=(),
      end_probability=1.0,
      score=0.0,
  )


class CaptionSamplesTest(tf.test.TestCase):

  def test_samples_are_spread_over_the_split(self):
    folder = self.create_tempdir().full_path
    data = caption_data.CaptionData(
        files=[tiny.write_pairs(folder, "val", 14, 2)], config=tiny.CONFIG
    )
    captioner = _captioner(data, folder)
    samples = caption_samples.choose(captioner, 3)
    self.assertEqual([0, 2, 4], [s.image_id for s in samples])
    # The records' images are 80 pixels wide and 90 high.
    self.assertEqual((320, 360), samples[0].picture.size)
    self.assertLen(caption_samples.choose(captioner, 100), 7)

  def test_features_have_no_pictures(self):
    folder = self.create_tempdir().full_path
    data = made_up_features.write(folder, 5)
    samples = caption_samples.choose(_captioner(data, folder), 2)
    self.assertEqual([(0, None), (2, None)], samples)

  def test_caption_is_written_below(self):
    red = Image.new("RGB", (320, 100), "red")
    empty = caption_samples.with_caption(red, "")
    short = caption_samples.with_caption(red, "a red wall")
    long = caption_samples.with_caption(red, "a très red wall " * 8)
    self.assertEqual(np.uint8, short.dtype)
    self.assertAllEqual(np.array(red), short[0, :100])
    self.assertAllEqual(np.full_like(empty[0, 100:], 255), empty[0, 100:])
    self.assertLess(short[0, 100:].min(), 128)
    self.assertEqual(empty.shape, short.shape)
    self.assertGreater(long.shape[1], short.shape[1])

  def test_table(self):
    samples = [caption_samples.Sample(3, None), caption_samples.Sample(9, None)]
    found = {3: [_caption("a | b")], 9: []}
    split = distinct_images.Split({3: ["a b"], 9: ["c", "d"]}, {}, [])
    self.assertEqual(
        "| image | caption | p | a person's |\n"
        "| ---: | --- | ---: | --- |\n"
        "| 3 | a &#124; b | 0.2500 | a b |\n"
        "| 9 |  |  | c |",
        caption_samples.table(samples, found, split),
    )


if __name__ == "__main__":
  tf.test.main()
