"""Worker processes, of which all must live.

    with worker_pool.WorkerPool(8) as pool:
      for path in paths:
        pool.submit(check, path)
      for task, problem in pool.results():
        ...

Python's own pools wait for ever for the result of a process that was killed, or,
before 3.12, may do so while they end.
"""

from collections.abc import Callable, Iterator
import multiprocessing
from multiprocessing import connection
import os
import signal
import sys
import threading
from typing import Any

# Forking is cheapest and safe where no library starts threads of its own.
_START_METHOD = "fork" if sys.platform == "linux" else "spawn"


class WorkerPool:
  """Runs functions in processes, which end with the `with` block.

  A task that raises an OSError or a ValueError raises it from `results`. One
  that raises anything else, or whose process is killed, raises a
  ChildProcessError there.
  """

  def __init__(self, num_workers: int):
    """Prepares the pool; `__enter__` starts it.

    Args:
      num_workers: The number of processes.
    """
    context = multiprocessing.get_context(_START_METHOD)
    self._tasks = context.Queue()
    self._processes: dict[connection.Connection, Any] = {}
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
        process.terminate()
    for process in self._processes.values():
      process.join()

  def submit(self, function: Callable[..., Any], *args: Any) -> None:
    """Has a worker call a function, both to be found by their module's name."""
    self._pending += 1
    self._tasks.put((function, args))

  def results(self) -> Iterator[Any]:
    """Yields the results of all tasks submitted, as they are ready."""
    while self._pending:
      for reader in connection.wait(list(self._processes)):
        try:
          result = reader.recv()
        except EOFError:
          raise ChildProcessError(
              f"A worker process {_end_of(self._processes[reader])}."
          ) from None
        if isinstance(result, Exception):
          raise result
        self._pending -= 1
        yield result


def _end_of(process) -> str:
  process.join()
  if process.exitcode < 0:
    return f"was killed by {signal.Signals(-process.exitcode).name}"
  return f"ended with exit status {process.exitcode}"


def _work(tasks, results: connection.Connection) -> None:
  signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides.
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
