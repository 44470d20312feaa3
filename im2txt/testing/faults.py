"""Programs in trouble: killed at any moment, or with nowhere to write.

A test forks them, since importing TensorFlow anew takes seconds:

    ended = faults.run("train", f"--train_dir={folder}", ...)

A process that has imported TensorFlow has no threads of it until it runs an
operation, so until then it may fork. Such a test therefore runs operations in
forked processes only, by `call`.
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
  """How a program ended.

  Attributes:
    status: Its exit status.
    said: What it wrote to stdout and stderr.
  """

  status: int | None
  said: str


def call(function: Callable[..., object], *args: Any) -> None:
  """Calls a function in a process of its own.

  Args:
    function: The function.
    *args: Its arguments.

  Raises:
    AssertionError: If it raises something; its traceback is on stderr.
  """
  process = _FORK.Process(target=function, args=args)
  process.start()
  process.join()
  if process.exitcode:
    raise AssertionError(f"{function} failed; see above.")


def start(name: str, *arguments: str) -> processes.BaseProcess:
  """Starts the program `im2txt/<name>.py`, whose output is lost.

  Args:
    name: The name, such as "train" or "data.build_mscoco_data".
    *arguments: Its flags.

  Returns:
    The process.
  """
  with open(os.devnull, "wb") as output:
    return _start(name, arguments, output.fileno())


def run(name: str, *arguments: str, **conditions: Any) -> Ended:
  """Runs the program `im2txt/<name>.py` to its end.

  Args:
    name: The name, such as "train" or "data.build_mscoco_data".
    *arguments: Its flags.
    **conditions: See `_impose`.

  Returns:
    How it ended.
  """
  reader, writer = os.pipe()  # Not a file, whose size may be limited.
  process = _start(name, arguments, writer, **conditions)
  os.close(writer)
  with open(reader, encoding="utf-8") as output:
    said = output.read()
  process.join()
  return Ended(process.exitcode, said)


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
    start_program: Starts or resumes it.
    on_kill: Called after each kill.
    on_end: Called when a run came to its end; prepares a run from the start.
    kills: How often to kill it.
    seed: Of the moments.

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
  # The parent's took its file for another kind than this may be.
  with open(1, "w", encoding="utf-8", closefd=False) as sys.stdout:
    sys.argv = [name.rpartition(".")[2], *arguments]
    importlib.import_module(f"im2txt.{name}").run()


def _impose(
    *,
    file_size: int | None = None,
    stdout: str | None = None,
    has_temporary_folder: bool = True,
) -> None:
  """Makes trouble for this process.

  Args:
    file_size: No file can grow beyond so many bytes; to the program, this is a
      disk that is full.
    stdout: Where its stdout goes instead, such as "/dev/full".
    has_temporary_folder: Whether Python finds a folder for temporary files. It
      looks further than TMPDIR, so that alone takes none away.
  """
  if file_size is not None:
    # Python would write the bytecode of modules that are cut short.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # Or the signal would end the program.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
  if stdout:
    os.dup2(os.open(stdout, os.O_WRONLY), 1)
  if not has_temporary_folder:
    os.environ["TMPDIR"] = tempfile.tempdir = "/no/folder"
