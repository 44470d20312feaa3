"""Tests of saved_model, as a `Captioner` loads it."""

import os
import shutil

from absl.testing import parameterized
import tensorflow as tf

from im2txt import captioning
from im2txt.export import saved_model_export
from im2txt.inference import inference_model
from im2txt.inference import saved_model
from im2txt.inference_utils import vocabulary
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class SavedModelTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tf.compat.v1.test.get_temp_dir()
    vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    path = tiny_captioning.save(tiny_captioning.make_model(), folder)
    model = inference_model.InferenceModel(
        tiny_captioning.CONFIG, path, as_variables=True
    )
    cls.captioner = captioning.Captioner(model, vocab)
    cls.folder = os.path.join(folder, "exported")
    # The search of a Captioner is its own.
    saved_model_export.write(model, vocab, cls.folder, beam_size=1)

  def test_captions_are_the_models(self):
    images = [tiny_captioning.jpeg(seed) for seed in range(5)]
    images[2:2] = [b"bad"]
    options = {"batch_size": 2, "beam_size": 4, "max_caption_length": 9}
    loaded = captioning.Captioner.load(self.folder)
    found, expected = (
        list(captioner.caption_each(images, **options))
        for captioner in (loaded, self.captioner)
    )
    self.assertIsInstance(found.pop(2), captioning.ImageError)
    expected.pop(2)
    for captions, others in zip(found, expected, strict=True):
      self.assertEqual([c.words for c in captions], [c.words for c in others])
      self.assertAllClose(
          [c.log_probability for c in captions],
          [c.log_probability for c in others],
          atol=1e-4,
      )

  def test_vocabulary(self):
    self.assertEqual(
        captioning.Captioner.load(self.folder).vocab.reverse_vocab,
        self.captioner.vocab.reverse_vocab,
    )
    words = self.create_tempfile("w", "b\n<S>\n</S>\n").full_path
    loaded = captioning.Captioner.load(self.folder, words)
    self.assertEqual(loaded.vocab.id_to_word(0), "b")

  def test_run_inference_takes_it(self):
    image = self.create_tempfile("1.jpg", tiny_captioning.jpeg(1)).full_path
    ran = programs.run(
        "run_inference",
        f"--checkpoint_path={self.folder}",
        f"--input_files={image}",
    )
    self.assertEqual(ran.returncode, 0, ran.stderr)
    (captions,) = self.captioner.caption([tiny_captioning.jpeg(1)])
    self.assertIn(f"  0) {captions[0].sentence} (p=", ran.stdout)

  def test_cannot_be_configured(self):
    for options in (
        {"config_overrides": "vocab_size=3"},
        {"precision": "bfloat16"},
    ):
      with self.assertRaisesRegex(ValueError, "of an exported model are fixed"):
        captioning.Captioner.load(self.folder, **options)

  @parameterized.parameters(
      "saved_model.pb",
      "variables/variables.index",
      "variables/variables.data-00000-of-00001",
  )
  def test_git_lfs_pointer(self, name):
    folder = os.path.join(self.create_tempdir().full_path, "model")
    shutil.copytree(self.folder, folder)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
      file.write("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with self.assertRaisesRegex(ValueError, f"{name} is a Git LFS pointer"):
      saved_model.SavedModel(folder)

  def test_other_saved_models(self):
    folder = self.create_tempdir().full_path
    tf.saved_model.save(tf.Module(), folder)
    with self.assertRaisesRegex(ValueError, "was not written by export_model"):
      saved_model.SavedModel(folder)
    with self.assertRaisesRegex(FileNotFoundError, "no vocabulary file"):
      captioning.Captioner.load(folder)


if __name__ == "__main__":
  tf.test.main()
