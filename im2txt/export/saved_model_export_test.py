"""Tests of saved_model_export."""

import io
import json
import os
import subprocess
import sys
from unittest import mock

from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from im2txt import captioning
from im2txt.export import saved_model_export
from im2txt.inference import inference_model
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

# A client in a process that can't import im2txt.
_CLIENT = """
import json, sys
class Refuse:
  def find_spec(self, name, path, target=None):
    if name.partition(".")[0] == "im2txt":
      raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
images = tf.stack([tf.io.read_file(path) for path in sys.argv[2:]])
found = model.signatures["serving_default"](image_bytes=images)
print(json.dumps({n: v.numpy().tolist() for n, v in found.items()},
                 default=bytes.decode))
"""


class SavedModelExportTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tf.compat.v1.test.get_temp_dir()
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    path = tiny_captioning.save(tiny_captioning.make_model(), folder)
    cls.model = inference_model.InferenceModel(
        tiny_captioning.CONFIG, path, as_variables=True
    )
    cls.captioner = captioning.Captioner(cls.model, cls.vocab)
    cls.folder = os.path.join(folder, "captioner", "1")
    saved_model_export.write(cls.model, cls.vocab, cls.folder)
    cls.loaded = tf.saved_model.load(cls.folder)
    cls.images = [tiny_captioning.jpeg(seed) for seed in range(5)]

  def _caption(self, images):
    return self.loaded.signatures["serving_default"](
        image_bytes=tf.constant(images, tf.string)
    )

  def _assert_same(self, found, expected):
    """Asserts that the outputs `found` are the captions `expected`."""
    for i, captions in enumerate(expected):
      self.assertEqual(found["num_captions"][i], len(captions))
      for k, caption in enumerate(captions):
        n = len(caption.words)
        self.assertEqual(found["captions"][i][k], caption.sentence)
        self.assertEqual(found["words"][i][k][:n], [*caption.words])
        self.assertEqual("".join(found["words"][i][k][n:]), "")
        for name, values in (
            ("log_probabilities", caption.log_probability),
            ("probabilities", caption.probability),
            ("end_probabilities", caption.end_probability or 0.0),
        ):
          self.assertNear(found[name][i][k], values, 1e-5)
        self.assertAllClose(
            found["word_probabilities"][i][k][:n], caption.word_probabilities
        )

  def test_runs_without_im2txt(self):
    paths = [
        self.create_tempfile(f"{i}.jpg", image).full_path
        for i, image in enumerate(self.images)
    ]
    ran = subprocess.run(
        [sys.executable, "-I", "-c", _CLIENT, self.folder, *paths],
        cwd=self.create_tempdir().full_path,
        capture_output=True,
        check=False,
        text=True,
    )
    self.assertEqual(ran.returncode, 0, ran.stderr)
    expected = self.captioner.caption(self.images)
    self._assert_same(json.loads(ran.stdout), expected)
    self.assertLen({captions[0].is_complete for captions in expected}, 2)

  def test_batches_of_any_size(self):
    self.assertEqual(
        {name: value.shape for name, value in self._caption([]).items()},
        {
            "captions": [0, 3],
            "words": [0, 3, 19],
            "word_probabilities": [0, 3, 19],
            "end_probabilities": [0, 3],
            "log_probabilities": [0, 3],
            "probabilities": [0, 3],
            "num_captions": [0],
        },
    )
    together = self._caption(self.images)["captions"]
    for i, image in enumerate(self.images):
      self.assertAllEqual(self._caption([image])["captions"][0], together[i])

  def test_other_formats(self):
    pixels = tf.io.decode_jpeg(self.images[1]).numpy()
    files = []
    for file_format in ("PNG", "BMP", "GIF"):
      file = io.BytesIO()
      Image.fromarray(pixels).save(file, file_format)
      files.append(file.getvalue())
    png, bmp, gif = self._caption(files)["captions"].numpy()
    (expected,) = self.captioner.caption(files[:1])
    self.assertEqual(png[0].decode(), expected[0].sentence)
    self.assertAllEqual(png, bmp)
    self.assertNotEmpty(gif[0])  # Its colours differ.

  def test_what_is_no_image_fails(self):
    with self.assertRaises(tf.errors.InvalidArgumentError):
      self._caption([self.images[0], b"no image"])

  def test_steps(self):
    encoded = self.loaded.signatures["encode"](
        image_bytes=tf.constant(self.images)
    )
    prepared = tf.stack([self.model.preprocess_image(i) for i in self.images])
    self.assertAllClose(encoded["features"], self.model.encoder(prepared))
    state = self.model.initial_states(prepared)
    # The image embedding amplifies rounding errors of features.
    self.assertAllClose(encoded["state"], state, atol=1e-4)
    ids = tf.constant([1, 3, 1, 4, 5], tf.int64)
    found = self.loaded.signatures["decode_step"](input_ids=ids, state=state)
    probabilities, state = self.model.decode_step(ids, state)
    self.assertAllClose(found["probabilities"], probabilities)
    self.assertAllClose(found["state"], state)
    no_files = tf.constant([], tf.string)
    self.assertEqual(
        self.loaded.signatures["encode"](image_bytes=no_files)["state"].shape,
        [0, 12],
    )

  def _search_options(self, loaded):
    found = loaded.signatures["search_options"]()
    return {name: value.numpy() for name, value in found.items()}

  def test_tells_the_search_that_is_in_it(self):
    self.assertEqual(
        {
            "beam_size": 3,
            "max_caption_length": 20,
            "length_normalization_factor": 0.0,
            "start_id": self.vocab.start_id,
            "end_id": self.vocab.end_id,
        },
        self._search_options(self.loaded),
    )

  def test_options_and_precision(self):
    model = inference_model.InferenceModel(
        tiny_captioning.CONFIG,
        os.path.join(tf.compat.v1.test.get_temp_dir(), "model.ckpt-1"),
        "bfloat16",
        as_variables=True,
    )
    options = {
        "beam_size": 2,
        "max_caption_length": 6,
        "length_normalization_factor": 1.0,
    }
    folder = os.path.join(self.create_tempdir().full_path, "x")
    saved_model_export.write(model, self.vocab, folder, **options)
    loaded = tf.saved_model.load(folder)
    self.assertLessEqual(options.items(), self._search_options(loaded).items())
    found = loaded.signatures["serving_default"](
        image_bytes=tf.constant(self.images)
    )
    self.assertEqual(found["words"].shape, [5, 2, 5])
    expected = captioning.Captioner(model, self.vocab).caption(
        self.images, **options
    )
    self.assertEqual(
        [caption.decode() for caption in found["captions"][:, 0].numpy()],
        [captions[0].sentence for captions in expected],
    )

  def test_replaces_a_saved_model_and_nothing_else(self):
    folder = self.create_tempdir()
    older = folder.mkdir("1")
    older.create_file("saved_model.pb", "old")
    with (
        mock.patch.object(tf.saved_model, "save", side_effect=OSError("Full.")),
        self.assertRaisesRegex(OSError, "Full"),
    ):
      saved_model_export.write(self.model, self.vocab, older.full_path)
    self.assertEqual(os.listdir(older.full_path), ["saved_model.pb"])
    saved_model_export.write(self.model, self.vocab, older.full_path + "/")
    self.assertContainsSubset(
        {"assets", "saved_model.pb", "variables"}, os.listdir(older.full_path)
    )
    self.assertEqual(os.listdir(folder.full_path), ["1"])
    with self.assertRaisesRegex(FileExistsError, "is not a SavedModel"):
      saved_model_export.write(self.model, self.vocab, folder.full_path)
    self.assertEqual(os.listdir(folder.full_path), ["1"])

  def test_the_vocabulary_is_an_asset(self):
    with open(f"{self.folder}/assets/words.txt", encoding="utf-8") as file:
      self.assertEqual(file.read().split("\n")[:3], ["a", "<S>", "</S>"])

  def test_weights_are_stored_once_and_apart(self):
    size = os.path.getsize(
        f"{self.folder}/variables/variables.data-00000-of-00001"
    )
    count = sum(np.prod(v.shape) for v in self.model.variables)
    self.assertBetween(size, 4 * count, 4.2 * count + 20_000)


if __name__ == "__main__":
  tf.test.main()
