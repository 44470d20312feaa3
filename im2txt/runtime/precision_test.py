"""Tests of precision."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import precision


class PrecisionTest(parameterized.TestCase):

  def _cpuinfo(self, flags):
    return self.create_tempfile(content=f"flags : {flags}\n").full_path

  def test_unknown_precision(self):
    with self.assertRaisesRegex(ValueError, "float32 and bfloat16. Got: 'f'"):
      precision.check("f")

  def test_warns_where_the_processor_lacks_it(self):
    with self.assertLogs("absl", "WARNING") as logs:
      precision.check("bfloat16", cpuinfo=self._cpuinfo("fpu avx512f"))
    self.assertIn("no instructions for bfloat16", logs.output[0])

  @parameterized.parameters(
      ("bfloat16", "fpu avx512_bf16"), ("float32", "fpu avx512f")
  )
  def test_silent_otherwise(self, name, flags):
    with self.assertNoLogs("absl", "WARNING"):
      precision.check(name, cpuinfo=self._cpuinfo(flags))

  def test_silent_where_nothing_is_known(self):
    with self.assertNoLogs("absl", "WARNING"):
      precision.check("bfloat16", cpuinfo="/no/such/file")


if __name__ == "__main__":
  absltest.main()
