"""Tests of growth."""

import pathlib

from absl.testing import absltest

from benchmarks import growth


class GrowthTest(absltest.TestCase):

  def test_plot(self):
    path = pathlib.Path(self.create_tempdir().full_path, "plot.png")
    growth.plot(
        str(path),
        title="Work",
        xlabel="pieces",
        sizes=[2, 4],
        cpu_secs={"plain": [1.0, 2.0], "ours": [0.1, 0.2]},
    )
    self.assertTrue(path.read_bytes().startswith(b"\x89PNG"))


if __name__ == "__main__":
  absltest.main()
