"""Tests of flags that are on, off or decided by the program."""

from absl import flags
from absl.testing import absltest
from absl.testing import parameterized

from im2txt.runtime import switch_flag

_FLAG = flags.DEFINE_flag(
    switch_flag.make("switch_for_the_test", "Whether it is on.")
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
        flags.IllegalFlagValueError, "it is auto, true or false"
    ):
      flags.FLAGS["switch_for_the_test"].parse("maybe")

  def test_name(self):
    self.assertEqual("switch_for_the_test", _FLAG.name)


if __name__ == "__main__":
  absltest.main()
