"""Tests of split_captioner, with a `Captioner` as the reference."""

import contextlib
import os
import types
from unittest import mock

from absl.testing import parameterized
import matplotlib
from matplotlib import font_manager
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt import captioning
from im2txt import show_and_tell_model
from im2txt.data import caption_data
from im2txt.data import distinct_images
from im2txt.evaluation import split_captioner
from im2txt.inference import captions
from im2txt.inference_utils import vocabulary
from im2txt.ops import tfrecords
from im2txt.testing import made_up_features
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


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


class SplitCaptionerTest(tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.dir = self.create_tempdir().full_path
    self.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(self.dir))

  def _data(self, **kwargs):
    return caption_data.CaptionData(config=tiny_captioning.CONFIG, **kwargs)

  def test_captions_equal_those_of_a_captioner(self):
    data = self._data(files=[tiny.write_pairs(self.dir, "val", 12, 2)])
    model = tiny_captioning.make_model()
    captioner = split_captioner.SplitCaptioner(
        model, self.vocab, data, beam_size=2, max_caption_length=6
    )
    results = captioner.caption()
    self.assertEqual(list(range(6)), list(results))
    images = distinct_images.encoded_images(data, captioner.split)
    expected = captioning.Captioner(model, self.vocab).caption(
        images, batch_size=4, beam_size=2, max_caption_length=6
    )
    self.assertEqual(
        [[caption.words for caption in image] for image in expected],
        [[caption.words for caption in image] for image in results.values()],
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
      results = captioner.caption()
      self.assertEqual(list(range(5)), list(results))
      self.assertEqual(f"{word} {word}", results[4][0].sentence)

  def test_damaged_image_is_named(self):
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
    with self.assertRaisesRegex(tfrecords.CorruptRecordError, "damaged"):
      captioner.caption()


class SamplesTest(parameterized.TestCase, tf.test.TestCase):

  def test_samples_are_spread_over_the_split(self):
    folder = self.create_tempdir().full_path
    data = caption_data.CaptionData(
        files=[tiny.write_pairs(folder, "val", 14, 2)], config=tiny.CONFIG
    )
    captioner = _captioner(data, folder)
    samples = split_captioner.choose_samples(captioner, 3)
    self.assertEqual([0, 2, 4], [s.image_id for s in samples])
    # The images in the records are 80 pixels wide and 90 high.
    self.assertEqual((320, 360), samples[0].picture.size)
    self.assertLen(split_captioner.choose_samples(captioner, 100), 7)

  def test_features_have_no_pictures(self):
    folder = self.create_tempdir().full_path
    data = made_up_features.write(folder, 5)
    samples = split_captioner.choose_samples(_captioner(data, folder), 2)
    self.assertEqual([(0, None), (2, None)], samples)

  def test_caption_is_drawn_below(self):
    red = Image.new("RGB", (320, 100), "red")
    empty = split_captioner.draw_caption(red, "")
    short = split_captioner.draw_caption(red, "a red wall")
    long = split_captioner.draw_caption(red, "a très red wall " * 8)
    self.assertEqual(np.uint8, short.dtype)
    self.assertAllEqual(np.array(red), short[0, :100])
    self.assertAllEqual(np.full_like(empty[0, 100:], 255), empty[0, 100:])
    self.assertLess(short[0, 100:].min(), 128)
    self.assertEqual(empty.shape, short.shape)
    self.assertGreater(long.shape[1], short.shape[1])

  def test_letters_differ(self):
    sky = Image.new("RGB", (320, 10), "blue")
    first, *others = (
        split_captioner.draw_caption(sky, letter) for letter in "éжλ"
    )
    for other in others:
      self.assertNotAllEqual(first, other)

  def test_letters_of_a_system_font(self):
    def pictures():
      return [split_captioner.draw_caption(sky, letter) for letter in "ᶁᶄ"]

    sky = Image.new("RGB", (320, 10), "blue")
    broken = self.create_tempfile("a.ttf", "no font").full_path
    fonts = [broken, f"{matplotlib.get_data_path()}/fonts/ttf/STIXGeneral.ttf"]
    with self._system_fonts([broken]):
      with self.assertLogs("absl", "WARNING") as logs:
        self.assertAllEqual(*pictures())  # Both are boxes.
      self.assertRegex(logs.output[0], "No font .*ᶁ.*fonts-noto-core")
    with self._system_fonts(fonts), self.assertNoLogs("absl", "WARNING"):
      self.assertNotAllEqual(*pictures())

  @parameterized.parameters("หมาวิ่ง", "कुत्ता दौड़ता है।", "一只狗")
  def test_scripts_of_system_fonts(self, text):
    sky = Image.new("RGB", (320, 10), "blue")
    fonts = font_manager.findSystemFonts()
    letters = set(text) - {" "}
    if any(letters <= split_captioner._letters(path) for path in fonts):
      with self.assertNoLogs("absl", "WARNING"):
        picture = split_captioner.draw_caption(sky, text)
      # Differs from the boxes that DejaVu shows.
      with self._system_fonts([]):
        boxes = split_captioner.draw_caption(sky, text)
      self.assertNotAllEqual(picture, boxes)

  @contextlib.contextmanager
  def _system_fonts(self, paths):
    split_captioner._find_font.cache_clear()
    with mock.patch.object(font_manager, "findSystemFonts", return_value=paths):
      yield
    split_captioner._find_font.cache_clear()

  def test_table(self):
    samples = [split_captioner.Sample(3, None), split_captioner.Sample(9, None)]
    results = {3: [_caption("a | b")], 9: []}
    split = distinct_images.Split({3: ["a b"], 9: ["c", "d"]}, {}, [])
    self.assertEqual(
        "| image | caption | p | reference |\n"
        "| ---: | --- | ---: | --- |\n"
        "| 3 | a &#124; b | 0.25 | a b |\n"
        "| 9 |  |  | c |",
        split_captioner.sample_table(samples, results, split),
    )


if __name__ == "__main__":
  tf.test.main()
