"""Tests of program, which run made-up programs as subprocesses."""

import os
from pathlib import Path
import subprocess
import sys
from unittest import mock

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.testing import programs

_PROGRAM = '''"""Greets a thing.

    greet --thing=world
"""
from absl import flags
from im2txt.runtime import program

_THING = flags.DEFINE_string("thing", "", "What to greet.")

def main(argv):
  program.require(_THING)
  {body}

if __name__ == "__main__":
  program.run(main, positional={positional})
'''


class ProgramTest(parameterized.TestCase):

  def _run(self, body, *arguments, positional=0, stdout=subprocess.PIPE):
    path = Path(self.create_tempdir().full_path) / "greet.py"
    path.write_text(_PROGRAM.format(body=body, positional=positional))
    return subprocess.run(
        [sys.executable, str(path), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        text=True,
    )

  @parameterized.named_parameters(
      ("nothing", "print(f'hello {_THING.value}')", 0, "hello world\n"),
      ("status", "return 3", 3, ""),
  )
  def test_returns_the_status_of_main(self, body, status, stdout):
    ran = self._run(body, "--thing=world")
    self.assertEqual(
        (ran.returncode, ran.stdout, ran.stderr), (status, stdout, "")
    )

  def test_sigterm_cleans_up_and_ends(self):
    ran = self._run(
        "import os; program.exit_on_sigterm(); program.say('up')\n  try:"
        " os.kill(os.getpid(), 15)\n  finally: program.say('cleaned')",
        "--thing=x",
    )
    self.assertEqual(
        (ran.returncode, ran.stdout, ran.stderr), (143, "up\ncleaned\n", "")
    )

  @parameterized.parameters((None, "true"), ("false", "false"))
  def test_takes_only_the_needed_memory_of_gpus(self, given, expected):
    # TensorFlow's own variable; the user's value takes precedence.
    name = "TF_FORCE_GPU_ALLOW_GROWTH"
    kept = {key: v for key, v in os.environ.items() if key != name}
    given_values = {name: given} if given else {}
    with mock.patch.dict(os.environ, kept | given_values, clear=True):
      ran = self._run(f"import os; print(os.environ['{name}'])", "--thing=x")
    self.assertEqual(ran.stdout, f"{expected}\n")

  def test_prints_names_that_are_not_utf_8(self):
    path = Path(self.create_tempfile().full_path)
    with (
        path.open("wb") as file,
        mock.patch.dict(os.environ, {"PYTHONIOENCODING": "utf-8:strict"}),
    ):
      self._run("print(_THING.value)", "--thing=a\udcff.jpg", stdout=file)
    self.assertEqual(path.read_bytes(), b"a\xff.jpg\n")

  def test_logs_as_the_original_does(self):
    ran = self._run(
        "from absl import logging; logging.info('Step %d.', 2)", "--thing=x"
    )
    self.assertEqual(ran.stderr, "INFO:tensorflow:Step 2.\n")

  @parameterized.named_parameters(
      ("value", "raise ValueError('No\\n  such thing.')", "No such thing."),
      ("file", "open('/no/file')", "No such file or directory: /no/file"),
      ("message", "raise FileNotFoundError('No x.')", "No x."),
      ("no_file", "raise OSError(111, 'Refused')", "Refused"),
  )
  def test_an_error_is_one_sentence(self, body, sentence):
    ran = self._run(body, "--thing=world")
    self.assertEqual(ran.returncode, 1)
    self.assertEqual(ran.stderr, f"greet: {sentence}\n")

  def test_an_error_of_tensorflow_is_one_sentence(self):
    ran = self._run(
        "import tensorflow as tf; tf.io.read_file('/no/file')", "--thing=world"
    )
    self.assertEqual(ran.returncode, 1)
    self.assertRegex(
        ran.stderr.splitlines()[-1], "^greet: /no/file; No such file.*[^]]$"
    )
    self.assertNotIn("Traceback", ran.stderr)

  def test_verbosity_shows_the_traceback(self):
    ran = self._run("raise ValueError('No.')", "--thing=x", "--verbosity=1")
    self.assertIn("Traceback", ran.stderr)

  def test_other_errors_keep_their_traceback(self):
    ran = self._run("raise TypeError('Ours.')", "--thing=world")
    self.assertEqual(ran.returncode, 1)
    self.assertIn("Traceback", ran.stderr)

  @parameterized.named_parameters(
      ("missing_flag", (), "greet: --thing is required.\n"),
      (
          "argument",
          ("--thing=x", "y"),
          "greet: Unexpected argument: 'y'.\n",
      ),
      (
          "unknown_flag",
          ("--thin=x",),
          "greet: Unknown command line flag 'thin'. Did you mean: thing ?\n",
      ),
  )
  def test_wrong_use_is_one_sentence(self, arguments, stderr):
    ran = self._run("pass", *arguments)
    self.assertEqual((ran.returncode, ran.stderr), (2, stderr))

  def test_takes_positional_arguments(self):
    ran = self._run("print(argv[1:])", "--thing=x", "y", positional=1)
    self.assertEqual(ran.stdout, "['y']\n")

  def test_help_shows_the_docstring_and_the_flags(self):
    ran = self._run("pass", "--help")
    self.assertEqual(ran.returncode, 0)
    self.assertStartsWith(ran.stdout, "Greets a thing.\n\n    greet --thing=")
    self.assertIn("\nFlags:\n  --thing: What to greet.", ran.stdout)

  def test_help_of_a_program_without_flags(self):
    ran = programs.run("extend_vocabulary", "--help")
    self.assertStartsWith(ran.stdout, "Adds words to a model's vocabulary")
    self.assertEndsWith(ran.stdout, ".\n\n")
    self.assertNotIn("Flags:", ran.stdout)

  def test_an_interrupt_prints_no_traceback(self):
    ran = self._run("raise KeyboardInterrupt", "--thing=world")
    self.assertEqual(
        (ran.returncode, ran.stderr), (130, "greet: Interrupted.\n")
    )

  @parameterized.parameters("--thing=world", "--help")
  def test_a_closed_pipe_is_not_an_error(self, argument):
    read_end, write_end = os.pipe()
    os.close(read_end)
    ran = self._run("print('hello')", argument, stdout=write_end)
    os.close(write_end)
    self.assertEqual((ran.returncode, ran.stderr), (141, ""))

  @parameterized.parameters("print('hello')", "print('hello', flush=True)")
  def test_a_full_disk_behind_stdout_is_one_sentence(self, body):
    with open("/dev/full", "wb") as full:
      ran = self._run(body, "--thing=world", stdout=full)
    self.assertEqual(
        (ran.returncode, ran.stderr),
        (1, "greet: No space left on device: standard output\n"),
    )


if __name__ == "__main__":
  absltest.main()
