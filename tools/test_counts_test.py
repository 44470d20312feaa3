"""Tests of test_counts, with synthetic events."""

from absl.testing import absltest
from absl.testing import parameterized

from tools import test_counts

_PYTHON_XML = """<testsuites><testsuite>
  <testcase name="a" status="run" result="completed"/>
  <testcase name="b" status="run" result="completed"><failure/></testcase>
  <testcase name="c" status="run" result="completed"><error/></testcase>
  <testcase name="d" status="run" result="completed"><skipped/></testcase>
  <testcase name="e" status="notrun" result="suppressed"/>
</testsuite></testsuites>"""
_SHELL_XML = """<testsuites><testsuite>
  <testcase name="t"/>
</testsuite></testsuites>"""


def configured(label, kind):
  """Returns the event of a target to build."""
  return {
      "id": {"targetConfigured": {"label": label}},
      "configured": {"targetKind": kind},
  }


def finished(exit_status):
  """Returns the event of the end of a run; Bazel omits a status of 0."""
  code = {"code": exit_status} if exit_status else {}
  return {"id": {"buildFinished": {}}, "finished": {"exitCode": code}}


class TestCountsTest(parameterized.TestCase):

  def result(self, label, status, xml=None, attempt=1):
    """Returns the event of a test result."""
    outputs = []
    if xml:
      path = self.create_tempfile(content=xml).full_path
      outputs = [{"name": "test.xml", "uri": f"file://{path}"}]
    return {
        "id": {
            "testResult": {
                "label": label,
                "run": 1,
                "shard": 1,
                "attempt": attempt,
            }
        },
        "testResult": {"status": status, "testActionOutput": outputs},
    }

  def test_counts_cases(self):
    events = [
        self.result("//:python_test", "FAILED", _PYTHON_XML),
        self.result("//:shell_test", "PASSED", _SHELL_XML),
        finished(3),
    ]

    self.assertEqual(test_counts.count(events), (2, 2))

  def test_last_attempt_counts(self):
    events = [
        self.result("//:python_test", "FAILED", _PYTHON_XML),
        self.result("//:python_test", "PASSED", _SHELL_XML, attempt=2),
        finished(0),
    ]

    self.assertEqual(test_counts.count(events), (1, 0))

  @parameterized.parameters("TIMEOUT", "FAILED", "INCOMPLETE")
  def test_failure_without_a_failed_case_counts_once(self, status):
    events = [self.result("//:t", status), finished(3)]

    self.assertEqual(test_counts.count(events), (0, 1))

  def test_each_test_that_is_not_built_counts_once(self):
    events = [
        configured("//:a_test", "py_test rule"),
        configured("//:b_test", "sh_test rule"),
        configured("//:c_test", "py_test rule"),
        configured("//:program", "py_binary rule"),
        self.result("//:b_test", "PASSED", _SHELL_XML),
        finished(1),
    ]

    self.assertEqual(test_counts.count(events), (1, 2))

  def test_failed_build_counts_once(self):
    events = [self.result("//:t", "PASSED", _SHELL_XML), finished(1)]

    self.assertEqual(test_counts.count(events), (1, 1))

  def test_interrupted_run_is_a_failure(self):
    self.assertEqual(test_counts.count([]), (0, 1))


if __name__ == "__main__":
  absltest.main()
