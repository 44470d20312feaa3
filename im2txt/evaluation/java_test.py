"""Tests of java, with shell scripts in its place."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.evaluation import java
from im2txt.testing import fake_java


class JavaTest(parameterized.TestCase):

  def _ask(self, question, *, timeout=60.0):
    with java.running("-x", timeout=timeout) as process:
      process.stdin.write(f"{question}\n")
      process.stdin.flush()
      answer = process.stdout.readline()
      if not answer:
        raise ValueError("no answer")
      return process, answer

  def test_answers_and_is_killed_at_the_end_of_the_block(self):
    fake_java.install(self, 'read line; echo "$line, $4"; exec sleep 1000')
    process, answer = self._ask("é")
    self.assertEqual(answer, "é, -x\n")
    self.assertEqual(process.returncode, -9)
    self.assertTrue(process.stdin.closed)
    self.assertTrue(process.stdout.closed)

  @parameterized.named_parameters(
      ("missing", None, "There is no Java on the PATH"),
      (
          "too_old",
          "echo UnsupportedClassVersionError >&2; exit 1",
          r"Java failed \(.*\): UnsupportedClassVersionError",
      ),
      ("silent", "exit 1", r"Java failed \(.*\): it said nothing more"),
  )
  def test_fails(self, script, message):
    fake_java.install(self, script)
    with self.assertRaisesRegex(java.JavaError, message):
      self._ask("x")

  def test_is_killed_with_its_children_when_it_takes_too_long(self):
    fake_java.install(self, "sleep 1000")
    with self.assertRaisesRegex(java.JavaError, "took longer than 0 seconds"):
      self._ask("x", timeout=0.2)

  def test_is_killed_when_the_block_is_interrupted(self):
    fake_java.install(self, "exec sleep 1000")
    with (
        self.assertRaises(KeyboardInterrupt),
        java.running(timeout=60) as process,
    ):
      raise KeyboardInterrupt
    self.assertEqual(process.returncode, -9)


if __name__ == "__main__":
  absltest.main()
