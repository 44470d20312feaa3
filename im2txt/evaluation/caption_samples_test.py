"""Tests of the images that TensorBoard shows with their captions."""

import contextlib
import types
from unittest import mock

from absl.testing import parameterized
import matplotlib
from matplotlib import font_manager
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


class CaptionSamplesTest(parameterized.TestCase, tf.test.TestCase):

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

  def test_each_letter_has_its_picture(self):
    sky = Image.new("RGB", (320, 10), "blue")
    first, *others = (
        caption_samples.with_caption(sky, letter) for letter in "éжλ"
    )
    for other in others:
      self.assertNotAllEqual(first, other)

  def test_letters_that_only_a_font_of_the_system_has(self):
    def pictures():
      return [caption_samples.with_caption(sky, letter) for letter in "ᶁᶄ"]

    sky = Image.new("RGB", (320, 10), "blue")
    broken = self.create_tempfile("a.ttf", "no font").full_path
    fonts = [broken, f"{matplotlib.get_data_path()}/fonts/ttf/STIXGeneral.ttf"]
    with self._fonts_of_the_system([broken]):
      with self.assertLogs("absl", "WARNING") as logs:
        self.assertAllEqual(*pictures())  # Two boxes.
      self.assertRegex(logs.output[0], "No font .*ᶁ.*fonts-noto-core")
    with self._fonts_of_the_system(fonts), self.assertNoLogs("absl", "WARNING"):
      self.assertNotAllEqual(*pictures())

  @parameterized.parameters("หมาวิ่ง", "कुत्ता दौड़ता है।", "一只狗")
  def test_scripts_for_which_the_system_may_have_a_font(self, text):
    sky = Image.new("RGB", (320, 10), "blue")
    fonts = font_manager.findSystemFonts()
    letters = set(text) - {" "}
    if any(letters <= caption_samples._letters(path) for path in fonts):
      with self.assertNoLogs("absl", "WARNING"):
        picture = caption_samples.with_caption(sky, text)
      # Not the boxes of DejaVu.
      with self._fonts_of_the_system([]):
        boxes = caption_samples.with_caption(sky, text)
      self.assertNotAllEqual(picture, boxes)

  @contextlib.contextmanager
  def _fonts_of_the_system(self, paths):
    caption_samples._find_font.cache_clear()
    with mock.patch.object(font_manager, "findSystemFonts", return_value=paths):
      yield
    caption_samples._find_font.cache_clear()

  def test_table(self):
    samples = [caption_samples.Sample(3, None), caption_samples.Sample(9, None)]
    found = {3: [_caption("a | b")], 9: []}
    split = distinct_images.Split({3: ["a b"], 9: ["c", "d"]}, {}, [])
    self.assertEqual(
        "| image | caption | p | a person's |\n"
        "| ---: | --- | ---: | --- |\n"
        "| 3 | a &#124; b | 0.25 | a b |\n"
        "| 9 |  |  | c |",
        caption_samples.table(samples, found, split),
    )


if __name__ == "__main__":
  tf.test.main()
