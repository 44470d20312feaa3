"""Runs programs, as from a shell or in the process of the test."""

import contextlib
import io
import os
import random
import re
import socket
import subprocess
import sys
from types import ModuleType
from typing import Any

from absl import flags
from absl.testing import absltest
from absl.testing import flagsaver

_NOISE = re.compile(
    r"^(?:[IWE]\d{4} \d|\d{4}-\d\d-\d\d .*: [IWE] |.*absl::InitializeLog"
    r"|To enable the following"
    r"|.*(?:cuInit|oneDNN|fontManager|font cache|\r|%\|)).*$",
    re.MULTILINE,
)

# Below the ports that Linux assigns by itself, which start at 32768.
_OWN_PORTS = range(10_000, 32_000)


def command(name: str, *arguments: str) -> list[str]:
  """Returns the command line of the program `im2txt/<name>.py`."""
  return [sys.executable, "-m", f"im2txt.{name}", *arguments]


def environment() -> dict[str, str]:
  """Returns the environment variables, with this process's import paths."""
  return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
  """Runs a program to its end and captures its output as text."""
  return subprocess.run(
      command(name, *arguments),
      env=environment(),
      capture_output=True,
      check=False,
      text=True,
  )


def noise(stderr: str) -> list[str]:
  """Returns the lines of stderr that users should not see.

  Args:
    stderr: The output of a program to a stderr that is not a terminal.

  Returns:
    The log lines of TensorFlow's C++ code, and parts of progress bars.
  """
  return _NOISE.findall(stderr)


def start(test: absltest.TestCase, *args: str) -> subprocess.Popen[str]:
  """Starts a program with pipes for its output, and kills it after the test.

  Args:
    test: The test.
    *args: The command and its arguments.

  Returns:
    The process.
  """
  process = subprocess.Popen(
      args,
      env=environment(),
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
  )
  test.addCleanup(process.communicate)
  test.addCleanup(process.kill)
  return process


def free_ports(count: int) -> list[int]:
  """Returns random free ports of this machine.

  They are below the range from which the system assigns ports, so no other
  program is assigned one of them before the test uses it.
  """
  ports: list[int] = []
  for port in random.SystemRandom().sample(_OWN_PORTS, len(_OWN_PORTS)):
    if len(ports) == count:
      break
    with contextlib.suppress(OSError), socket.create_server(("", port)):
      ports.append(port)
  return ports


def run_here(
    module: ModuleType, **values: Any
) -> subprocess.CompletedProcess[str]:
  """Runs the `main` of a program in this process, which is faster.

  Args:
    module: The module of the program.
    **values: The values of flags, by name.

  Returns:
    The exit status and the printed output, without logs.
  """
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(sys.argv[:1])
  stdout, stderr = io.StringIO(), io.StringIO()
  with (
      flagsaver.flagsaver(**values),
      contextlib.redirect_stdout(stdout),
      contextlib.redirect_stderr(stderr),
  ):
    status = module.main([module.__name__])
  return subprocess.CompletedProcess(
      [], status, stdout.getvalue(), stderr.getvalue()
  )
