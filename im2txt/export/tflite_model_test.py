"""Tests of tflite_model."""

import dataclasses
import os
import warnings
import zipfile

from absl.testing import parameterized
import tensorflow as tf

from im2txt import captioning
from im2txt import show_and_tell_model
from im2txt.export import tflite_model
from im2txt.inference import inference_model
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


def _runner(path):
  """Returns a function that captions by a TensorFlow Lite file."""
  with warnings.catch_warnings():
    warnings.filterwarnings("ignore", ".*tf.lite.Interpreter is deprecated")
    return tf.lite.Interpreter(path).get_signature_runner()


class TfliteModelTest(parameterized.TestCase, tf.test.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.create_tempdir().full_path
    self.path = os.path.join(self.folder, "new", "model.tflite")
    self.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(self.folder))

  def _load(self, model, **changes):
    checkpoint = tiny_captioning.save(model, self.folder)
    config = dataclasses.replace(tiny_captioning.CONFIG, **changes)
    return inference_model.InferenceModel(config, checkpoint, as_variables=True)

  @parameterized.parameters(
      {},
      {
          "beam_size": 2,
          "max_caption_length": 7,
          "length_normalization_factor": 0.7,
      },
  )
  def test_captions_are_the_captioners(self, **options):
    model = self._load(tiny_captioning.make_model())
    tflite_model.write(model, self.vocab, self.path, **options)
    self.assertEqual(os.listdir(os.path.dirname(self.path)), ["model.tflite"])
    caption = _runner(self.path)
    with zipfile.ZipFile(self.path) as archive:
      words = archive.read("words.txt").decode().split("\n")
    images = [tiny_captioning.jpeg(seed) for seed in range(4)]
    # Images may have any size.
    small = tf.io.decode_jpeg(images[1])[:70, :50]
    images.append(tf.io.encode_jpeg(small).numpy())
    expected = captioning.Captioner(model, self.vocab).caption(
        images, **options
    )
    for image, captions in zip(images, expected, strict=True):
      decoded = tf.io.decode_jpeg(image, dct_method="INTEGER_FAST")
      found = caption(image=decoded.numpy())
      self.assertEqual(found["num_captions"], len(captions))
      for k, other in enumerate(captions):
        self.assertEqual(
            tuple(words[i] for i in found["word_ids"][k] if i >= 0),
            other.words,
        )
        # The image embedding amplifies rounding errors of features.
        self.assertNear(
            found["log_probabilities"][k], other.log_probability, 1e-3
        )
        self.assertNear(
            found["end_probabilities"][k], other.end_probability or 0, 1e-4
        )

  def test_quantizations(self):
    # Not `make_model`'s, whose image embedding has values beyond float16.
    model = self._load(
        show_and_tell_model.ShowAndTellModel(
            tiny_captioning.CONFIG, "inference"
        )
    )
    image = tf.io.decode_jpeg(tiny_captioning.jpeg(1)).numpy()
    sizes, log_probs = [], []
    for quantization in tflite_model.QUANTIZATIONS:
      tflite_model.write(
          model, self.vocab, self.path, quantization=quantization
      )
      sizes.append(os.path.getsize(self.path))
      found = _runner(self.path)(image=image)
      log_probs.append(found["log_probabilities"][0])
    self.assertLess(sizes[1], 0.7 * sizes[0])
    self.assertLess(sizes[2], 0.8 * sizes[1])
    self.assertLess(log_probs[0], -1.0)
    self.assertNear(log_probs[0], log_probs[1], 0.01)
    self.assertNear(log_probs[0], log_probs[2], 0.1)
    self.assertNotEqual(log_probs[0], log_probs[1])

  def test_rejects(self):
    model = self._load(
        tiny_captioning.make_model(), resize_height=0, resize_width=0
    )
    with self.assertRaisesRegex(ValueError, "resize_height=0"):
      tflite_model.write(model, self.vocab, self.path)
    with self.assertRaisesRegex(ValueError, "one of .* Got: 'int4'"):
      tflite_model.write(model, self.vocab, self.path, quantization="int4")
    self.assertFalse(os.path.exists(self.path))


if __name__ == "__main__":
  tf.test.main()
