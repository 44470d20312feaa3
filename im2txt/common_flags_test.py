"""Tests of flags that several programs have."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt import common_flags


class CommonFlagsTest(parameterized.TestCase):

  @parameterized.parameters(
      common_flags.allow_missing_shards, common_flags.respect_exif_orientation
  )
  def test_each_program_has_one_of_its_own(self, make):
    first, second = make(), make()
    self.assertEqual(make.__name__, first.name)
    self.assertIsNot(first, second)
    first.parse("true")
    self.assertEqual((True, False), (first.value, second.value))
    self.assertNotEmpty(first.help)


if __name__ == "__main__":
  absltest.main()
