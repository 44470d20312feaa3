"""Tests of serve."""

import json
import signal
import socket
import sys
from unittest import mock
from urllib import request

from absl import app
from absl import flags
from absl.testing import flagsaver
from absl.testing import parameterized
import tensorflow as tf

from im2txt import captioning
from im2txt import serve
from im2txt.inference_utils import vocabulary
from im2txt.serving import application
from im2txt.serving import server
from im2txt.testing import programs
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning

_BOUNDARY = "boundary"


def _form(image):
  head = (
      f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image";'
      ' filename="x"\r\n\r\n'
  )
  return head.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()


class ServeTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    if not flags.FLAGS.is_parsed():
      flags.FLAGS(sys.argv[:1])
    folder = tf.compat.v1.test.get_temp_dir()
    model = tiny_captioning.make_model()
    vocab_file = tiny.write_vocabulary(folder)
    captioner = captioning.Captioner(model, vocabulary.Vocabulary(vocab_file))
    ((cls.caption, *_),) = captioner.caption([tiny_captioning.jpeg(1)])
    cls.flags = {
        "checkpoint_path": tiny_captioning.save(model, folder),
        "vocab_file": vocab_file,
        "port": 0,
    }

  @parameterized.parameters(signal.SIGTERM, signal.SIGINT)
  def test_as_a_program(self, number):
    arguments = [f"--{name}={value}" for name, value in self.flags.items()]
    process = programs.start(self, *programs.command("serve", *arguments))
    line = process.stdout.readline()
    self.assertRegex(line, r"^Listening on http://127\.0\.0\.1:\d+\n$")
    posted = request.Request(
        line.split()[-1] + "/model/predict",
        _form(tiny_captioning.jpeg(1)),
        {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
    )
    with request.urlopen(posted, timeout=60) as answer:
      caption = json.load(answer)["predictions"][0]["caption"]
    self.assertEqual(caption, self.caption.sentence)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    self.assertEqual((process.returncode, stdout), (0, ""))
    self.assertEndsWith(stderr, "INFO:tensorflow:Stopped.\n")
    self.assertNotIn("Traceback", stderr)

  @parameterized.named_parameters(
      ("checkpoint", {"checkpoint_path": "/no/x"}, "No checkpoint found"),
      ("vocabulary", {"vocab_file": "/no/x.txt"}, "no vocabulary file"),
      (
          "limits",
          {"max_images": 9, "max_waiting": 8},
          "must fit into the queue",
      ),
  )
  def test_wrong_use(self, wrong, message):
    with (
        flagsaver.flagsaver(**{**self.flags, **wrong}),
        self.assertRaisesRegex((ValueError, OSError), message),
    ):
      serve.main(["serve"])

  @parameterized.product(
      flag=[
          "batch_delay_ms",
          "max_waiting_mb",
          "max_body_mb",
          "max_megapixels",
          "body_secs",
          "timeout_secs",
      ],
      value=["inf", "nan"],
  )
  def test_what_is_no_number(self, flag, value):
    with (
        flagsaver.flagsaver(),
        self.assertRaisesRegex(flags.IllegalFlagValueError, f"--{flag}="),
    ):
      flags.FLAGS(["serve", f"--{flag}={value}"])

  def test_port_in_use(self):
    with socket.create_server(("127.0.0.1", 0)) as taken:
      port = taken.getsockname()[1]
      ran = programs.run(
          "serve", "--checkpoint_path=x", "--vocab_file=y", f"--port={port}"
      )
    self.assertEqual(ran.returncode, 1)
    self.assertEqual(
        ran.stderr.splitlines()[-1],
        f"serve: Can't listen on 127.0.0.1, port {port}: Address already in"
        " use. Choose another --port, or 0 for any free one.",
    )

  def test_packages_are_missing(self):
    with (
        flagsaver.flagsaver(**self.flags),
        mock.patch("importlib.util.find_spec", return_value=None),
        self.assertRaisesRegex(ValueError, r"pip install 'im2txt\[serve\]'"),
    ):
      serve.main(["serve"])

  def test_a_checkpoint_needs_a_vocabulary(self):
    with (
        flagsaver.flagsaver(**{**self.flags, "vocab_file": ""}),
        self.assertRaisesRegex(app.UsageError, "--vocab_file is required"),
    ):
      serve.main(["serve"])

  def _loaded(self, **changed):
    """Returns the arguments of the captioner and the limits, given flags."""
    with (
        flagsaver.flagsaver(**{**self.flags, **changed}),
        mock.patch.object(captioning.Captioner, "load") as load,
        mock.patch.object(application, "make") as make,
        mock.patch.object(server, "run"),
    ):
      serve.main(["serve"])
    self.assertIs(make.call_args.args[0], load.return_value)
    return load.call_args.args, make.call_args.args[1]

  def test_an_ensemble(self):
    checkpoint, vocab_file = (
        self.flags[name] for name in ("checkpoint_path", "vocab_file")
    )
    loaded, _ = self._loaded(checkpoint_path=f"{checkpoint}, {checkpoint}")
    self.assertEqual(loaded, (2 * [checkpoint], vocab_file, ""))

  def test_a_saved_model_has_its_vocabulary(self):
    folder = self.create_tempdir()
    folder.create_file("saved_model.pb")
    loaded, _ = self._loaded(checkpoint_path=folder.full_path, vocab_file="")
    self.assertEqual(loaded, ([folder.full_path], "", ""))

  def test_limits(self):
    _, limits = self._loaded(max_megapixels=0.5)
    self.assertEqual(limits.max_pixels, 500_000)
    self.assertFalse(limits.respect_exif_orientation)
    _, limits = self._loaded(respect_exif_orientation=True)
    self.assertTrue(limits.respect_exif_orientation)

  def test_help_teaches(self):
    ran = programs.run("serve", "--help")
    self.assertEqual(ran.returncode, 0)
    self.assertIn("curl -F image=@dog.jpg", ran.stdout)
    self.assertIn("--max_waiting", ran.stdout)


if __name__ == "__main__":
  tf.test.main()
