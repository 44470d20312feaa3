"""A process pool that fails as soon as one of its workers dies.

    with worker_pool.WorkerPool(8) as pool:
      for path in paths:
        pool.submit(check, path)
      for result in pool.results():
        ...

Python's own pools may wait forever after a process was killed: that of
multiprocessing for its result, that of concurrent.futures at exit, before
Python 3.12. This module can be replaced by the latter when Python 3.11 is no
longer supported.
"""

from collections.abc import Callable
from collections.abc import Iterator
import multiprocessing
from multiprocessing import connection
import os
import signal
import sys
import threading
from typing import Any

# Forking is cheapest, since the workers share what is imported. It is safe: at
# that time the programs have executed no operation of TensorFlow, which starts
# its threads, and the workers execute none.
_START_METHOD = "fork" if sys.platform == "linux" else "spawn"


class WorkerPool:
  """A pool of processes that end with the `with` block."""

  def __init__(self, num_workers: int):
    """Starts the processes.

    Args:
      num_workers: The number of processes.
    """
    context: Any = multiprocessing.get_context(_START_METHOD)
    self._tasks = context.Queue()
    # The processes by the connections that their results arrive from.
    self._processes: dict[connection.Connection, multiprocessing.Process] = {}
    self._pending = 0
    for _ in range(num_workers):
      reader, writer = context.Pipe(duplex=False)
      process = context.Process(
          target=_work, args=(self._tasks, writer), daemon=True
      )
      self._processes[reader] = process
      process.start()
      writer.close()

  def __enter__(self) -> "WorkerPool":
    return self

  def __exit__(self, error_type, error, traceback) -> None:
    if error_type is None:
      for _ in self._processes:
        self._tasks.put(None)
    else:
      self._tasks.cancel_join_thread()
      for process in self._processes.values():
        process.kill()
    for process in self._processes.values():
      process.join()

  def submit(self, function: Callable[..., Any], *args: Any) -> None:
    """Adds a task: a call of a module-level function by a worker.

    Args:
      function: The function. It may raise an OSError or a ValueError.
      *args: The arguments. They are pickled, as is the result.
    """
    self._pending += 1
    self._tasks.put((function, args))

  def results(self) -> Iterator[Any]:
    """Waits for all submitted tasks.

    Yields:
      The result of each task as it becomes available, in any order.

    Raises:
      ChildProcessError: If a process ends, also because a function raised any
        other error.
      OSError: If a function raised it.
      ValueError: If a function raised it.
    """
    while self._pending:
      ready = connection.wait([*self._processes])
      for reader, process in self._processes.items():
        if reader in ready:
          self._pending -= 1
          yield _result(reader, process)


def _result(
    reader: connection.Connection, process: multiprocessing.Process
) -> Any:
  try:
    result = reader.recv()
  except EOFError:
    raise ChildProcessError(f"A worker process {_end_of(process)}.") from None
  if isinstance(result, Exception):
    raise result
  return result


def _end_of(process: multiprocessing.Process) -> str:
  process.join()
  if process.exitcode and process.exitcode < 0:
    return f"was killed by {signal.Signals(-process.exitcode).name}"
  return f"ended with exit status {process.exitcode}"


def _work(tasks, results: connection.Connection) -> None:
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent handles it.
  signal.signal(signal.SIGTERM, signal.SIG_DFL)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  for function, args in iter(tasks.get, None):
    try:
      result = function(*args)
    except (OSError, ValueError) as error:
      result = error
    results.send(result)


def _end_with_parent() -> None:
  parent = multiprocessing.parent_process()
  if parent:
    parent.join()
    os._exit(1)
