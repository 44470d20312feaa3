"""Tests of input_pipeline."""

import os
import subprocess
import sys

from absl.testing import absltest
from absl.testing import parameterized

from benchmarks import input_pipeline

_TINY = (
    "--config_overrides=vocab_size=50,batch_size=4,shuffle_buffer_size=8,"
    "image_height=75,image_width=75,resize_height=80,resize_width=80"
)


class InputPipelineTest(parameterized.TestCase):

  def test_tables(self):
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.input_pipeline"),
            *(_TINY, "--batches=1", "--rounds=1", "--cores=1"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
        text=True,
    )
    self.assertEqual(0, ran.returncode, ran.stderr)
    self.assertIn("| images, bucketed |", ran.stdout)
    self.assertIn("| features |", ran.stdout)
    # The row of one core, which is as fast as itself.
    self.assertRegex(ran.stdout, r"\n\| 1 \|.* \| 1\.00 \| ")

  @parameterized.parameters(
      ([], 1, [1]),
      ([], 6, [1, 2, 4, 6]),
      ([], 8, [1, 2, 4, 8]),
      (["8", "3", "3"], 8, [3, 8]),
  )
  def test_numbers_of_cores(self, texts, available, expected):
    self.assertEqual(expected, input_pipeline.parse_cores(texts, available))

  @parameterized.parameters("0", "9", "all")
  def test_impossible_numbers_of_cores(self, text):
    with self.assertRaisesRegex(ValueError, "from 1 to 8"):
      input_pipeline.parse_cores(["2", text], 8)


if __name__ == "__main__":
  absltest.main()
