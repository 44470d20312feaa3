"""Tests of tensorflow_start, with a fake TensorFlow that only prints."""

import os
from pathlib import Path
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

_HARMLESS = """\
WARNING: All log messages before absl::InitializeLog() is called are written \
to STDERR
I0000 00:00:1795788546.314059    6378 port.cc:153] oneDNN custom operations on
2024-05-01 10:00:00.123456: I tensorflow/core/util/port.cc:113] oneDNN
I0000 00:00:1795788546.703056    6390 cpu_feature_guard.cc:227] This binary
To enable the following instructions: AVX2 FMA, rebuild TensorFlow.
W0000 00:00:1795788546.703056    6390 computation_placer.cc:177] registered
E0000 00:00:1795788546.703056    6390 cuda_dnn.cc:8579] Unable to register \
cuDNN factory: one is there.
E0000 00:00:1795788548.515703    6378 cuda_platform.cc:52] failed call to \
cuInit: UNKNOWN ERROR (303)
"""
_SERIOUS = """\
E0000 00:00:1795788548.515703    6378 file.cc:52] The disk is broken.
F0000 00:00:1795788548.515703    6378 cpu.cc:52] Compiled to use AVX.
<frozen importlib>: DeprecationWarning: old
"""
_TENSORFLOW = """\
import os, types
def list_physical_devices(kind):
  os.write(2, {at_devices!r})
  return {gpus!r}
config = types.SimpleNamespace(list_physical_devices=list_physical_devices)
os.write(2, {at_import!r})
{action}
"""
_IMPORT_KERAS = """\
import importlib.util, sys
try:
  print(importlib.util.find_spec("keras") is not None)
except ValueError:  # Raised if the module is None.
  print(False)
"""
_PROGRAM = """\
import os
from im2txt.runtime import tensorflow_start
tensorflow_start.import_tensorflow({arguments})
os.write(2, b'E0000 00:00:1 1 x.cc:1] failed call to cuInit: later\\n')
"""
_LATER = "E0000 00:00:1 1 x.cc:1] failed call to cuInit: later\n"


class TensorflowStartTest(parameterized.TestCase):

  def _run(
      self,
      stderr_lines,
      *,
      action="",
      gpus=(),
      has_gpu=False,
      arguments="",
      **variables,
  ):
    """Runs a program that imports TensorFlow, and later prints a line."""
    folder = Path(self.create_tempdir().full_path)
    half = len(stderr_lines) // 2  # A line may arrive in two pieces.
    module = _TENSORFLOW.format(
        at_import=stderr_lines[:half].encode(),
        at_devices=stderr_lines[half:].encode(),
        gpus=gpus,
        action=action,
    )
    (folder / "tensorflow.py").write_text(module)
    if has_gpu:
      (folder / "nvidia-smi").write_text("")
      (folder / "nvidia-smi").chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "CUDA_VISIBLE_DEVICES"
    }
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(arguments=arguments)],
        env={
            **kept,
            "PATH": str(folder),
            "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **variables,
        },
        capture_output=True,
        check=False,
        text=True,
    )

  @parameterized.parameters("2", "3")
  def test_only_harmless_lines_are_removed(self, level):
    ran = self._run(
        _HARMLESS + _SERIOUS + _HARMLESS, TF_CPP_MIN_LOG_LEVEL=level
    )
    self.assertEqual((ran.returncode, ran.stderr), (0, _SERIOUS + _LATER))

  @parameterized.parameters(("", True), ("with_keras=False", False))
  def test_keras_is_imported_unless_it_is_left_out(self, arguments, expected):
    ran = self._run(_HARMLESS, action=_IMPORT_KERAS, arguments=arguments)
    self.assertEqual((ran.returncode, ran.stdout), (0, f"{expected}\n"))

  @parameterized.parameters("0", "1")
  def test_all_lines_for_whoever_asks_for_them(self, level):
    ran = self._run(_HARMLESS, TF_CPP_MIN_LOG_LEVEL=level)
    self.assertEqual(ran.stderr, _LATER)  # TensorFlow was not imported.

  @parameterized.named_parameters(
      ("exception", "raise ImportError('no such symbol')", "no such symbol", 1),
      ("crash", "os.write(2, b'F Illegal\\n'); os.abort()", "F Illegal\n", -6),
  )
  def test_an_import_that_fails_says_why(self, action, expected, status):
    ran = self._run(_HARMLESS * 2, action=action)
    self.assertEqual(ran.returncode, status)
    self.assertIn(expected, ran.stderr)
    self.assertNotIn("oneDNN", ran.stderr)

  @parameterized.named_parameters(
      ("no_driver", "cudart_stub.cc:31] Could not find cuda drivers on"),
      ("driver", "cuda.cc:52] failed call to cuInit: UNKNOWN ERROR (303)"),
      ("libraries", "gpu.cc:1] Cannot dlopen some GPU libraries. Install"),
  )
  def test_a_gpu_that_cannot_be_used_has_one_line(self, line):
    ran = self._run(f"{_HARMLESS}W0000 00:00:1.2 3 {line}\n", has_gpu=True)
    (warning,) = ran.stderr.removesuffix(_LATER).splitlines()
    self.assertIn("can't use the NVIDIA GPU", warning)
    self.assertEndsWith(warning, line.partition("] ")[2])

  @parameterized.named_parameters(
      ("used", {"gpus": ("GPU:0",), "has_gpu": True}),
      ("not_there", {"has_gpu": False}),
      ("hidden", {"has_gpu": True, "CUDA_VISIBLE_DEVICES": "-1"}),
  )
  def test_no_line_about_a_gpu(self, conditions):
    ran = self._run(_HARMLESS, **conditions)
    self.assertEqual(ran.stderr, _LATER)


if __name__ == "__main__":
  absltest.main()
