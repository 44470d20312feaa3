"""Tests of what holds for all programs: paths, and a quiet stderr."""

import json
from pathlib import Path
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

import im2txt
from im2txt.testing import programs

# Arguments with which each program imports what it needs, and then ends.
_SHORT_RUNS = {
    "cache_image_features": (
        "--input_file_pattern=no-*",
        "--checkpoint_path=no",
        "--output_dir=out",
    ),
    "convert_checkpoint": ("no", "out"),
    "data.build_caption_data": (
        "--captions_file=no.json",
        "--image_dir=.",
        "--output_dir=out",
    ),
    "data.build_mscoco_data": ("--output_dir=out", "--train_image_dir=no"),
    "evaluate": (
        "--input_file_pattern=no-*",
        "--checkpoint_dir=no",
        "--eval_dir=out",
        "--once",
    ),
    "export_model": ("--checkpoint_path=no", "--output_file=out.pb"),
    "extend_vocabulary": ("no", "no.txt", "no.txt", "out"),
    "pretrain_encoder": ("--labels_file=no.json", "--output_dir=out"),
    "quickstart": ("--scenes=1",),
    "run_inference": (
        "--checkpoint_path=no",
        "--vocab_file=no.txt",
        "--input_files=no.jpg",
    ),
    "score_captions": ("no.json", "results.json"),
    "serve": ("--checkpoint_path=no", "--vocab_file=no.txt", "--port=0"),
    "train": ("--input_file_pattern=no-*", "--train_dir=out"),
}

# Flags whose text is not a path.
_WORDS = ("end_word", "start_word", "unknown_word")

# Gives all flags of a program that take text the same value, and prints what
# its main function gets of them and of a positional argument.
_PRINT_FLAGS = """\
import importlib, json, sys
from absl import flags
name, value = sys.argv[1:]
module = importlib.import_module(name)
texts = [
    flag.name for flag in flags.FLAGS.get_key_flags_for_module(name)
    if "string" in flag.flag_type() and "enum" not in flag.flag_type()
]
def main(argv):
  found = {text: flags.FLAGS[text].value for text in texts}
  print(json.dumps([found, argv[1:]]))
main.__module__ = name
module.main = main
sys.argv = ["program", *(f"--{text}={value}" for text in texts)]
if sys.stdin.read():
  sys.argv.append(value)
module.run()
"""


def _modules():
  """The names of all programs that have flags."""
  root = Path(im2txt.__file__).parent
  return {
      ".".join(path.relative_to(root).with_suffix("").parts)
      for path in root.rglob("*.py")
      if not path.name.endswith("_test.py")
      and path.parent.name != "runtime"
      and "program.run(" in path.read_text(encoding="utf-8")
  }


class ProgramsTest(parameterized.TestCase):

  def test_no_program_is_forgotten(self):
    self.assertEqual(_modules(), set(_SHORT_RUNS))

  def _values(self, name, value, *, positional=False, home="/home/ann"):
    ran = subprocess.run(
        [sys.executable, "-c", _PRINT_FLAGS, f"im2txt.{name}", value],
        env={**programs.environment(), "HOME": home},
        input="x" if positional else "",
        capture_output=True,
        check=False,
        text=True,
    )
    self.assertEqual(ran.returncode, 0, ran.stderr)
    return json.loads(ran.stdout)

  @parameterized.parameters(*_SHORT_RUNS)
  def test_a_tilde_in_any_flag_is_the_home_folder(self, name):
    values, _ = self._values(name, "~/a,b,~/c-*")
    for flag, value in values.items():
      with self.subTest(flag):
        text = value if isinstance(value, str) else ",".join(value)
        if flag in _WORDS:
          self.assertEqual(text, "~/a,b,~/c-*")
        else:
          self.assertEqual(text, "/home/ann/a,b,/home/ann/c-*")

  @parameterized.parameters("convert_checkpoint", "score_captions")
  def test_a_tilde_in_an_argument_is_the_home_folder(self, name):
    _, arguments = self._values(name, "~/model", positional=True)
    self.assertEqual(arguments, ["/home/ann/model"])

  def test_an_unknown_home_folder_is_refused(self):
    ran = programs.run("train", "--train_dir=~no-such-user/model")
    self.assertEqual(ran.returncode, 2)
    self.assertRegex(ran.stderr, r"^train: --train_dir: ~no-such-user .*\n$")

  def _stderr(self, name, *arguments):
    """What a program that fails writes to stderr, with no variable set."""
    folder = self.create_tempdir().full_path
    # As for a new user, who has no caches yet.
    variables = {**programs.environment(), "HOME": folder}
    for variable in (
        "TF_CPP_MIN_LOG_LEVEL",
        "MPLCONFIGDIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
    ):
      variables.pop(variable, None)
    ran = subprocess.run(
        programs.command(name, *arguments),
        cwd=folder,
        env=variables,
        capture_output=True,
        check=False,
        text=True,
    )
    self.assertNotEqual(ran.returncode, 0)
    return ran.stderr

  @parameterized.parameters(*_SHORT_RUNS, "tensorboard_main")
  def test_nothing_alarming_on_the_first_screen(self, name):
    stderr = self._stderr(name, *_SHORT_RUNS.get(name, ("--logdir=",)))
    self.assertEmpty(programs.noise(stderr))
    if name in _SHORT_RUNS:
      # The error itself, and perhaps lines of the log before it.
      *logged, error = stderr.splitlines()
      self.assertStartsWith(error, name.rpartition(".")[2] + ": ")
      for line in logged:
        self.assertRegex(line, "^(INFO|WARNING):tensorflow:")


if __name__ == "__main__":
  absltest.main()
