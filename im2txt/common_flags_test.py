"""Tests of flags that several programs have."""

from absl import flags
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


_FLAG = flags.DEFINE_flag(
    common_flags.automatic_flag("switch_for_the_test", "Whether it is on.")
)


class SwitchFlagTest(parameterized.TestCase):

  @parameterized.parameters(
      ((), "auto"),
      (("--switch_for_the_test",), "true"),
      (("--noswitch_for_the_test",), "false"),
      (("--switch_for_the_test=auto",), "auto"),
      (("--switch_for_the_test=True",), "true"),
      (("--switch_for_the_test=0",), "false"),
  )
  def test_spellings(self, arguments, expected):
    values = flags.FlagValues()
    values["switch_for_the_test"] = flags.FLAGS["switch_for_the_test"]
    self.addCleanup(values.unparse_flags)
    values["switch_for_the_test"].unparse()
    values(["program", *arguments])
    self.assertEqual(expected, values.switch_for_the_test)

  def test_other_values(self):
    with self.assertRaisesRegex(
        flags.IllegalFlagValueError, "it must be auto, true or false"
    ):
      flags.FLAGS["switch_for_the_test"].parse("maybe")

  def test_name(self):
    self.assertEqual("switch_for_the_test", _FLAG.name)


if __name__ == "__main__":
  absltest.main()
