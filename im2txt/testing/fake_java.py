"""Stands in for Java: for tests of what happens when it is missing or fails."""

import os
from pathlib import Path
from unittest import mock

from absl.testing import absltest


def install(test: absltest.TestCase, script: str | None) -> None:
  """Makes `java` a shell script until the test ends.

  Args:
    test: The test.
    script: What it does; None if there shall be no Java.
  """
  folder = test.create_tempdir("fake_java").full_path
  path = folder
  if script is not None:
    java = Path(folder, "java")
    java.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    java.chmod(0o755)
    path = os.pathsep.join([folder, os.environ["PATH"]])
  test.enter_context(mock.patch.dict(os.environ, {"PATH": path}))
