"""Runs the clients that g3doc/exporting.md shows."""

import os
import re
import subprocess
import sys

import tensorflow as tf

from im2txt import captioning
from im2txt.export import saved_model_export
from im2txt.export import tflite_model
from im2txt.inference import inference_model
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

_DOC = os.path.join(os.path.dirname(__file__), "..", "g3doc", "exporting.md")


class ExportingDocTest(tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.folder = tf.compat.v1.test.get_temp_dir()
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(cls.folder))
    path = tiny_captioning.save(tiny_captioning.make_model(), cls.folder)
    cls.model = inference_model.InferenceModel(
        tiny_captioning.CONFIG, path, as_variables=True
    )
    with open(_DOC, encoding="utf-8") as file:
      cls.clients = re.findall(
          r"^```python\n(.*?)^```$", file.read(), re.M | re.S
      )

  def _run(self, client, exported):
    # PNG, since Pillow decodes a JPEG to slightly other pixels.
    image = tf.io.encode_png(tf.io.decode_jpeg(tiny_captioning.jpeg(1)))
    paths = [
        self.create_tempfile(name, image.numpy()).full_path
        for name in ("1.png", "2.png")
    ]
    ran = subprocess.run(
        [sys.executable, "-I", "-c", client, exported, *paths],
        capture_output=True,
        check=False,
        text=True,
    )
    self.assertEqual(ran.returncode, 0, ran.stderr)
    self.assertNotIn("deprecated", ran.stderr)
    captioner = captioning.Captioner(self.model, self.vocab)
    (captions,) = captioner.caption([image.numpy()])
    lines = ran.stdout.splitlines()
    self.assertLen(lines, 2 * (1 + len(captions)))
    self.assertEqual(lines[0], f"Captions for image {paths[0]}:")
    self.assertStartsWith(lines[1], f"  0) {captions[0].sentence} (p=0.0000")

  def test_saved_model(self):
    exported = os.path.join(self.folder, "captioner", "1")
    saved_model_export.write(self.model, self.vocab, exported)
    self._run(self.clients[0], exported)

  def test_tflite(self):
    exported = os.path.join(self.folder, "model.tflite")
    tflite_model.write(self.model, self.vocab, exported)
    self._run(self.clients[1], exported)


if __name__ == "__main__":
  tf.test.main()
