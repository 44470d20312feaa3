"""Tests of captioning."""

from concurrent import futures
import io
import math
import os
import pathlib
import shutil
import time
from unittest import mock

from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt import captioning
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class CaptioningTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.model = tiny_captioning.make_model()
    cls.vocab_file = tiny.write_vocabulary(tf.compat.v1.test.get_temp_dir())
    cls.vocab = vocabulary.Vocabulary(cls.vocab_file)
    cls.captioner = captioning.Captioner(cls.model, cls.vocab)

  def test_captions_are_the_models(self):
    ((best, *others),) = self.captioner.caption(
        [tiny_captioning.jpeg(1)], beam_size=2
    )
    self.assertLen(others, 1)
    self.assertGreaterEqual(best.score, others[0].score)
    # What the model itself says to the words, one after the other.
    image = self.captioner._prepare(tiny_captioning.jpeg(1))[tf.newaxis]
    state = self.model.initial_states(image)
    word_id = self.vocab.start_id
    words = [*best.words, *(["</S>"] if best.is_complete else [])]
    expected = []
    for word in words:
      softmax, state = self.model.decode_step(tf.constant([word_id]), state)
      word_id = self.vocab.word_to_id(word)
      expected.append(softmax[0, word_id].numpy())
    found = [*best.word_probabilities]
    if best.is_complete:
      found.append(best.end_probability)
    self.assertAllClose(found, expected)
    self.assertNear(best.probability, math.prod(expected), 1e-6)

  @parameterized.parameters(1, 2, 3, 7)
  def test_batches_change_nothing(self, batch_size):
    images = [tiny_captioning.jpeg(seed) for seed in range(7)]
    alone = [self.captioner.caption([image])[0] for image in images]
    found = self.captioner.caption(iter(images), batch_size=batch_size)
    self.assertEqual(
        [[c.words for c in each] for each in found],
        [[c.words for c in each] for each in alone],
    )
    self.assertAllClose(
        [each[0].log_probability for each in found],
        [each[0].log_probability for each in alone],
        atol=1e-4,
    )
    self.assertGreater(len({each[0].words for each in found}), 3)
    self.assertLen({each[0].is_complete for each in found}, 2)

  def test_options_of_the_search(self):
    (captions,) = self.captioner.caption(
        [tiny_captioning.jpeg(1)],
        beam_size=4,
        max_caption_length=5,
        length_normalization_factor=1.0,
    )
    self.assertLen(captions, 4)
    for caption in captions:
      length = 1 + len(caption.words) + caption.is_complete
      self.assertLessEqual(length, 5)
      penalty = length if caption.is_complete else 1
      self.assertNear(caption.score, caption.log_probability / penalty, 1e-9)

  def test_batches_of_any_size_are_one_trace(self):
    captioner = captioning.Captioner(self.model, self.vocab)
    images = [tiny_captioning.jpeg(seed) for seed in range(5)]
    captioner.caption(images, batch_size=3)
    captioner.caption(images, batch_size=4)
    search = captioner._search(False)
    self.assertEqual(search.experimental_get_tracing_count(), 1)

  def test_compiled_search(self):
    compiled = captioning.Captioner(self.model, self.vocab, jit_compile=True)
    images = [tiny_captioning.jpeg(seed) for seed in range(7)]
    with mock.patch.object(
        self.model, "initial_states", side_effect=self.model.initial_states
    ) as initial_states:
      results = list(compiled.caption(images, batch_size=4))
      self.assertEqual(1, initial_states.call_count)
    expected = self.captioner.caption(images)
    self.assertEqual(
        [[c.words for c in each] for each in expected],
        [[c.words for c in each] for each in results],
    )
    self.assertAllClose(
        [[c.log_probability for c in each] for each in expected],
        [[c.log_probability for c in each] for each in results],
        atol=1e-4,
    )

  @parameterized.parameters((1, 1), (3, 4), (4, 4), (5, 6), (6, 6))
  def test_few_sizes_of_batches_are_compiled(self, num_images, size):
    compiled = captioning.Captioner(self.model, self.vocab, jit_compile=True)
    result = compiled._run_search(
        [np.zeros([75, 75, 3], np.float32)] * num_images,
        batch_size=6,
        max_caption_length=2,
    )
    self.assertLen(result.num_captions, size)

  def test_search_that_xla_can_not_compile(self):
    error = tf.errors.InvalidArgumentError(None, None, "No XLA here.")

    def make_search(self, jit_compile, **options):
      if not jit_compile:
        return make_search.original(self, jit_compile, **options)
      return mock.Mock(side_effect=error)

    make_search.original = captioning.Captioner._make_search
    self.enter_context(
        mock.patch.object(captioning.Captioner, "_make_search", make_search)
    )
    with mock.patch.object(
        tf.config, "list_physical_devices", return_value=["GPU"]
    ):
      captioner = captioning.Captioner(self.model, self.vocab)
    with self.assertLogs("absl", "WARNING") as logs:
      results = captioner.caption([tiny_captioning.jpeg(1)])
    self.assertIn("No XLA here", logs.output[0])
    expected = self.captioner.caption([tiny_captioning.jpeg(1)])
    self.assertEqual(results[0][0].words, expected[0][0].words)
    captioner = captioning.Captioner(self.model, self.vocab, jit_compile=True)
    with self.assertRaisesRegex(tf.errors.OpError, "No XLA here"):
      captioner.caption([tiny_captioning.jpeg(1)])

  def test_a_bad_image_spoils_no_other(self):
    images = [
        tiny_captioning.jpeg(1),
        b"",
        tiny_captioning.jpeg(2)[:-50],
        b"GIF",
        tiny_captioning.jpeg(2),
    ]
    found = list(self.captioner.caption_each(images, batch_size=2))
    good = self.captioner.caption(
        [tiny_captioning.jpeg(1), tiny_captioning.jpeg(2)]
    )
    for i, j in ((0, 0), (4, 1)):
      self.assertEqual([c.words for c in found[i]], [c.words for c in good[j]])
    for i in (1, 2, 3):
      self.assertIsInstance(found[i], captioning.ImageError)
    with self.assertRaisesRegex(
        captioning.ImageError, "Image 1, .*: It is empty"
    ):
      self.captioner.caption(images)

  def test_formats_that_the_model_does_not_take(self):
    png = io.BytesIO()
    image = Image.open(io.BytesIO(tiny_captioning.jpeg(1)))
    image.save(png, "PNG")
    webp = io.BytesIO()
    image.save(webp, "WEBP", lossless=True)
    expected, found = self.captioner.caption([png.getvalue(), webp.getvalue()])
    self.assertEqual([c.words for c in found], [c.words for c in expected])

  def test_orientation_is_respected_where_that_is_wished(self):
    image = Image.open(io.BytesIO(tiny_captioning.jpeg(1)))
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned to the right.
    turned = image.transpose(Image.Transpose.ROTATE_90)
    lying = io.BytesIO()
    turned.save(lying, "JPEG", exif=exif)
    (as_it_lies,) = self.captioner.caption([lying.getvalue()])
    (upright,) = self.captioner.caption(
        [lying.getvalue()], respect_exif_orientation=True
    )
    self.assertNotEqual(
        [c.words for c in as_it_lies], [c.words for c in upright]
    )

  def test_other_formats_are_turned_upright(self):
    image = Image.open(io.BytesIO(tiny_captioning.jpeg(1)))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    upright, lying = io.BytesIO(), io.BytesIO()
    image.save(upright, "TIFF")
    turned.save(lying, "PNG", exif=exif)
    expected, found = self.captioner.caption(
        [upright.getvalue(), lying.getvalue()]
    )
    self.assertEqual([c.words for c in found], [c.words for c in expected])

  def test_a_limit_of_pixels(self):
    small, large = tiny_captioning.jpeg(1), tiny_captioning.jpeg(2)
    self.captioner.caption([small], max_pixels=9000)
    found = list(self.captioner.caption_each([small, large], max_pixels=8999))
    self.assertEqual(
        str(found[1]),
        "It has 100 x 90 pixels, more than the 8,999 that are allowed.",
    )
    self.assertIsInstance(found[1], captioning.ImageError)

  def test_reads_what_it_is_given_in_threads(self):
    contents = {"one": tiny_captioning.jpeg(1)}

    def read(name):
      if name not in contents:
        raise FileNotFoundError(2, "No such file", name)
      return contents[name]

    found = list(self.captioner.caption_each(["two", "one"], read=read))
    self.assertIsInstance(found[0], captioning.ImageError)
    self.assertEqual(str(found[0]), "It can't be read: No such file.")
    self.assertEqual(found[1:], self.captioner.caption([contents["one"]]))

  def test_threads_wait_for_one_trace_without_a_warning(self):
    def preprocess(encoded_image):
      time.sleep(0.5)  # Only while it is traced.
      return tf.io.decode_jpeg(encoded_image, 3)[:4, :4]

    with mock.patch.object(self.model, "preprocess_image", preprocess):
      captioner = captioning.Captioner(self.model, self.vocab)
    with (
        self.assertNoLogs("tensorflow", "WARNING"),
        futures.ThreadPoolExecutor(8) as pool,
    ):
      images = [tiny_captioning.jpeg(1)] * 8
      self.assertLen(list(pool.map(captioner._prepare, images)), 8)

  @parameterized.parameters(
      (b"\xff\xd8", "int"),  # The list forgotten.
      ("dog.jpg", "str"),
      (["dog.jpg"], "str"),
      ([pathlib.Path("dog.jpg")], "PosixPath"),
      (np.zeros([2, 3, 3], np.uint8), "ndarray"),
      ([np.zeros([2, 3, 3], np.uint8)], "ndarray"),
  )
  def test_takes_only_contents_of_files(self, given, name):
    for caption in (self.captioner.caption, self.captioner.caption_each):
      with self.assertRaisesRegex(
          TypeError, f"must be a list of bytes.* {name}.$"
      ):
        list(caption(given))

  def test_captions_files_and_says_why_not(self):
    contents = {"a.jpg": tiny_captioning.jpeg(1), "b.jpg": b"", "c.jpg": b"c"}
    good, *bad = self.captioner.caption_files(
        list(contents),
        read=lambda file: contents[file],
        num_captions=2,
        batch_size=2,
    )
    (expected,) = self.captioner.caption([contents["a.jpg"]])
    self.assertEqual(good.file, "a.jpg")
    self.assertEqual(
        [caption.words for caption in good.captions],
        [caption.words for caption in expected[:2]],
    )
    self.assertEqual(good.error, "")
    self.assertEqual(
        [(result.file, result.captions) for result in bad],
        [("b.jpg", []), ("c.jpg", [])],
    )
    self.assertContainsSubsequence(bad[1].error, "Not a valid JPEG")

  def test_no_images(self):
    self.assertEmpty(self.captioner.caption([]))

  def test_takes_no_more_images_than_two_batches_ahead(self):
    taken = 0

    def images():
      nonlocal taken
      for seed in range(20):
        taken += 1
        yield tiny_captioning.jpeg(seed)

    found = self.captioner.caption_each(images(), batch_size=2)
    next(found)
    self.assertEqual(taken, 4)
    found.close()

  @parameterized.parameters({"batch_size": 0}, {"beam_size": 0})
  def test_rejects(self, **kwargs):
    with self.assertRaisesRegex(ValueError, "at least 1. Got: 0"):
      self.captioner.caption([tiny_captioning.jpeg(1)], **kwargs)

  def test_loads_a_folder_and_a_checkpoint(self):
    folder = self.create_tempdir().full_path
    path = tiny_captioning.save(self.model, folder)
    (expected,) = self.captioner.caption([tiny_captioning.jpeg(1)])
    for checkpoint, vocab in (
        (folder, self.vocab_file),
        (path, self.vocab),
        (pathlib.Path(folder), pathlib.Path(self.vocab_file)),
        ([pathlib.Path(path)], self.vocab),
    ):
      loaded = captioning.Captioner.load(checkpoint, vocab)
      (found,) = loaded.caption([tiny_captioning.jpeg(1)])
      self.assertEqual([c.words for c in found], [c.words for c in expected])
      self.assertAllClose(
          [c.log_probability for c in found],
          [c.log_probability for c in expected],
          rtol=1e-4,
      )

  def test_a_tilde_is_the_home_folder(self):
    home = self.create_tempdir().full_path
    tiny_captioning.save(self.model, os.path.join(home, "model"))
    vocab_file = shutil.copy(self.vocab_file, home)
    vocab = f"~/{os.path.basename(vocab_file)}"
    with mock.patch.dict(os.environ, HOME=home):
      for checkpoint in ("~/model", ["~/model"], pathlib.Path("~/model")):
        loaded = captioning.Captioner.load(checkpoint, vocab)
        self.assertEqual(loaded.vocab.vocab_file, vocab_file)

  def test_loads_an_ensemble(self):
    folder = self.create_tempdir().full_path
    path = tiny_captioning.save(self.model, folder)
    images = [tiny_captioning.jpeg(1), tiny_captioning.jpeg(2)]
    alone = captioning.Captioner.load(path, self.vocab).caption(images)
    both = captioning.Captioner.load([folder, path], self.vocab)
    self.assertLen(both.model.members, 2)
    self.assertEqual(
        [[c.words for c in each] for each in both.caption(images)],
        [[c.words for c in each] for each in alone],
    )

  def test_vocabulary_must_fit_the_model(self):
    folder = self.create_tempdir().full_path
    tiny_captioning.save(self.model, folder)
    with self.assertRaisesRegex(ValueError, "11 words.*vocab_size=10"):
      captioning.Captioner.load(folder, self.vocab_file, "vocab_size=10")

  def test_no_checkpoint(self):
    folder = self.create_tempdir().full_path
    with self.assertRaisesRegex(FileNotFoundError, "No checkpoint found"):
      captioning.Captioner.load(folder, self.vocab_file)


if __name__ == "__main__":
  tf.test.main()
