"""Runs programs as a shell would."""

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

# Linux' own begin at 32768.
_OWN_PORTS = range(10_000, 32_000)


def command(name: str, *arguments: str) -> list[str]:
  """Returns the command line of the program `im2txt/<name>.py`."""
  return [sys.executable, "-m", f"im2txt.{name}", *arguments]


def environment() -> dict[str, str]:
  """This process' environment, in which its modules can be imported."""
  return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
  """Runs a program to its end, with its output captured as text."""
  return subprocess.run(
      command(name, *arguments),
      env=environment(),
      capture_output=True,
      check=False,
      text=True,
  )


def noise(stderr: str) -> list[str]:
  """Returns the lines that nobody should see who starts a program.

  Args:
    stderr: What the program wrote to a stderr that is not a terminal.

  Returns:
    The log lines of TensorFlow's C++ code, and the pieces of progress bars.
  """
  return _NOISE.findall(stderr)


def start(test: absltest.TestCase, *args: str) -> subprocess.Popen[str]:
  """Starts a program, with pipes for its output; it ends with the test.

  Args:
    test: The test.
    *args: The command line.

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
  """So many ports of this machine that nobody listens at.

  They are below those that the system gives to whoever asks for any, so nobody
  gets them before they are used; and no connection to one starts from it.
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
  """Runs a program's `main` in this process, which spares its start.

  Args:
    module: The program.
    **values: Of its flags, by name.

  Returns:
    The status that `main` returns, and what it prints; not what it logs.
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
