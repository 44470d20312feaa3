"""Counts the test cases of a run of Bazel, from its build events.

  ./bazelw test --build_event_json_file=events.json //...
  python3 tools/test_counts.py events.json

prints a line such as "212 passed, 0 failed". Cases are those of test.xml: one
per method of a Python test, and one for any other test. Skipped cases are not
counted. A test that fails without a failed case (it crashed, timed out or could
not be built) counts as one failure, and so does any other error of the run.
"""

from collections.abc import Iterable
import json
from pathlib import Path
import sys
from typing import Any
from urllib import parse
from urllib import request
from xml.etree import ElementTree

# Bazel's exit status if the build succeeded and a test failed.
_TESTS_FAILED = 3


def count(events: Iterable[dict[str, Any]]) -> tuple[int, int]:
  """Counts the cases that passed and failed.

  Args:
    events: The messages of Bazel's build event protocol.

  Returns:
    The number of cases that passed, and the number of those that failed.
  """
  results: dict[tuple, dict[str, Any]] = {}
  unrun = set()
  exit_status = None
  for event in events:
    if event.get("configured", {}).get("targetKind", "").endswith("_test rule"):
      unrun.add(event["id"]["targetConfigured"]["label"])
    elif "testResult" in event:
      name = event["id"]["testResult"]
      # A later attempt of the same test replaces an earlier one.
      shard = (name["label"], name.get("run"), name.get("shard"))
      results[shard] = event["testResult"]
      unrun.discard(name["label"])
    elif "finished" in event:
      exit_status = event["finished"].get("exitCode", {}).get("code", 0)
  passed, failed = 0, len(unrun)
  for result in results.values():
    passed_here, failed_here = _count_cases(result)
    if result["status"] not in ("PASSED", "FLAKY"):
      failed_here = max(failed_here, 1)
    passed += passed_here
    failed += failed_here
  if exit_status not in (0, _TESTS_FAILED) and not failed:
    failed = 1
  return passed, failed


def _count_cases(result: dict[str, Any]) -> tuple[int, int]:
  """Counts the cases in the test.xml of a test result."""
  passed = failed = 0
  for output in result.get("testActionOutput", []):
    if output["name"] == "test.xml":
      path = request.url2pathname(parse.urlparse(output["uri"]).path)
      for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
          failed += 1
        elif (
            case.find("skipped") is None and case.get("result") != "suppressed"
        ):
          passed += 1
  return passed, failed


def main() -> None:
  """Prints the counts of the run whose events are in the given file."""
  text = Path(sys.argv[1]).read_text(encoding="utf-8")
  passed, failed = count(map(json.loads, text.splitlines()))
  print(f"{passed} passed, {failed} failed")


if __name__ == "__main__":
  main()
