"""A fake Java, for tests of a missing or failing one."""

import os
from pathlib import Path
from unittest import mock

from absl.testing import absltest


def install(test: absltest.TestCase, script: str | None) -> None:
  """Replaces `java` by a shell script until the test ends.

  Args:
    test: The test.
    script: The commands of the script; None to remove Java.
  """
  folder = test.create_tempdir("fake_java").full_path
  path = folder
  if script is not None:
    java = Path(folder, "java")
    java.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    java.chmod(0o755)
    path = os.pathsep.join([folder, os.environ["PATH"]])
  test.enter_context(mock.patch.dict(os.environ, {"PATH": path}))
