"""Fault injection: runs programs that are killed, or that can't write files.

Programs run in forks of the test's process, since importing TensorFlow takes
seconds:

    ended = faults.run("train", f"--train_dir={folder}", ...)

A process that has imported TensorFlow can fork only before it runs its first
operation, which starts threads. So such tests run operations in forked
processes only, by `call`.
"""

from collections.abc import Callable
import importlib
import multiprocessing
from multiprocessing import process as processes
import os
import random
import resource
import signal
import sys
import tempfile
import time
from typing import Any
from typing import NamedTuple

_FORK = multiprocessing.get_context("fork")


class Ended(NamedTuple):
  """The result of a program that has ended.

  Attributes:
    status: The exit status.
    output: The output to stdout and stderr.
  """

  status: int | None
  output: str


def call(function: Callable[..., object], *args: Any) -> None:
  """Calls a function in a forked process.

  Args:
    function: The function.
    *args: The arguments of the function.

  Raises:
    AssertionError: If the function raises an exception, which is printed to
      stderr.
  """
  process = _FORK.Process(target=function, args=args)
  process.start()
  process.join()
  if process.exitcode:
    raise AssertionError(f"{function} failed; see above.")


def start(name: str, *arguments: str) -> processes.BaseProcess:
  """Starts the program `im2txt/<name>.py`, and discards its output.

  Args:
    name: The name, such as "train" or "data.build_mscoco_data".
    *arguments: The flags of the program.

  Returns:
    The process.
  """
  with open(os.devnull, "wb") as output:
    return _start(name, arguments, output.fileno())


def run(name: str, *arguments: str, **conditions: Any) -> Ended:
  """Runs the program `im2txt/<name>.py` to its end.

  Args:
    name: The name, such as "train" or "data.build_mscoco_data".
    *arguments: The flags of the program.
    **conditions: Faults to inject; see `_impose`.

  Returns:
    The exit status and the output.
  """
  reader, writer = os.pipe()  # Not a file, whose size may be limited.
  process = _start(name, arguments, writer, **conditions)
  os.close(writer)
  with open(reader, encoding="utf-8") as output:
    text = output.read()
  process.join()
  return Ended(process.exitcode, text)


def kill_often(
    start_program: Callable[[], processes.BaseProcess],
    *,
    on_kill: Callable[[], object],
    on_end: Callable[[], object],
    kills: int,
    seed: int,
) -> None:
  """Kills a program at random moments, and restarts it each time.

  Args:
    start_program: Function that starts or resumes the program.
    on_kill: Function called after each kill.
    on_end: Function called after each run that ends by itself; prepares a new
      run.
    kills: Number of kills.
    seed: Seed of the moments.

  Raises:
    AssertionError: If the program fails by itself.
  """
  rng = random.Random(seed)
  begin = time.monotonic()
  _wait_for_end(start_program())
  on_end()
  seconds = time.monotonic() - begin
  while kills:
    process = start_program()
    process.join(rng.uniform(0, seconds))
    if process.exitcode is None:
      process.kill()
      process.join()
    if process.exitcode == -signal.SIGKILL:
      kills -= 1
      on_kill()
    else:
      _wait_for_end(process)
      on_end()
  _wait_for_end(start_program())
  on_end()


def _wait_for_end(process: processes.BaseProcess) -> None:
  process.join()
  if process.exitcode:
    raise AssertionError(f"The program ended with {process.exitcode}.")


def _start(
    name: str, arguments: tuple[str, ...], output: int, **conditions: Any
) -> processes.BaseProcess:
  process = _FORK.Process(
      target=_run_program, args=(name, arguments, output), kwargs=conditions
  )
  process.start()
  return process


def _run_program(
    name: str, arguments: tuple[str, ...], output: int, **conditions: Any
) -> None:
  os.dup2(output, 1)
  os.dup2(output, 2)
  _impose(**conditions)
  # The parent's sys.stdout may belong to another kind of file.
  with open(1, "w", encoding="utf-8", closefd=False) as sys.stdout:
    sys.argv = [name.rpartition(".")[2], *arguments]
    importlib.import_module(f"im2txt.{name}").run()


def _impose(
    *,
    file_size: int | None = None,
    stdout: str | None = None,
    has_temporary_folder: bool = True,
) -> None:
  """Injects faults into this process.

  Args:
    file_size: Maximum size of files in bytes, which acts like a full disk.
    stdout: A file to replace stdout, such as "/dev/full".
    has_temporary_folder: Whether Python finds a folder for temporary files.
  """
  if file_size is not None:
    # Otherwise Python would write truncated bytecode of modules.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # Otherwise the signal would kill the program.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
  if stdout:
    os.dup2(os.open(stdout, os.O_WRONLY), 1)
  if not has_temporary_folder:  # TMPDIR alone is not enough.
    os.environ["TMPDIR"] = tempfile.tempdir = "/no/folder"
