"""Combines items of many callers into batches, which one thread processes.

    callers --submit--> queue --batches of one kind--> run --> futures

While a batch is processed, the queue collects the items of the next one. When
the thread is idle, an item waits a short time for others. The oldest item in
the queue decides the kind of the next batch, so that no kind waits forever. An
item that is cancelled while it waits is dropped. The queue has a maximum size.

Requests take turns in rounds. If a request is heavier than the limit of a
batch, its first batch belongs to the next round, its second batch to the round
after that, and so on; so other requests wait for at most one of its batches.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
from concurrent import futures
import dataclasses
import itertools
import threading
import time
from typing import Any

from absl import logging


class FullError(RuntimeError):
  """The queue is full."""


class ClosedError(RuntimeError):
  """The batcher is closed."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Task:
  item: Any
  kind: Hashable
  future: futures.Future
  deadline: float  # The time from which on it no longer waits for others.
  round: int


class Batcher:
  """A thread that processes submitted items in batches."""

  def __init__(
      self,
      run: Callable[[Sequence[Any], Any], Sequence[Any]],
      *,
      weigh: Callable[[Any], int] = lambda item: 0,
      max_batch_size: int = 32,
      max_batch_weight: int = 0,
      max_delay_secs: float = 0.01,
      max_waiting: int = 256,
  ):
    """Starts the thread; `close` ends it.

    Args:
      run: Function (items of a batch, their kind) -> their results.
      weigh: Function item -> weight of the item.
      max_batch_size: Maximum number of items per batch.
      max_batch_weight: Maximum total weight of a batch. An item that is heavier
        is a batch of its own.
      max_delay_secs: How long an item waits for others while the thread is
        idle, in seconds.
      max_waiting: Maximum number of items in the queue, without those being
        processed.

    Raises:
      ValueError: If a number is too small.
    """
    if max_batch_size < 1 or max_waiting < 1 or max_delay_secs < 0:
      raise ValueError(
          "max_batch_size and max_waiting must be at least 1, max_delay_secs"
          f" at least 0. Got: {max_batch_size}, {max_waiting},"
          f" {max_delay_secs}."
      )
    self._run = run
    self._weigh = weigh
    self._max_batch_size = max_batch_size
    self._max_batch_weight = max_batch_weight
    self._max_delay_secs = max_delay_secs
    self._max_waiting = max_waiting
    self._waiting: deque[_Task] = deque()
    self._round = 0  # The round of the last batch.
    self._changed = threading.Condition()
    self._is_closed = False
    # A daemon does not keep the process alive if that fails before `close`.
    self._thread = threading.Thread(
        target=self._work, name="batcher", daemon=True
    )
    self._thread.start()

  @property
  def num_waiting(self) -> int:
    """The number of items in the queue."""
    with self._changed:
      self._drop_cancelled()
      return len(self._waiting)

  @property
  def is_full(self) -> bool:
    """Whether the queue is full."""
    return self.num_waiting >= self._max_waiting

  @property
  def is_working(self) -> bool:
    """Whether items are accepted and processed."""
    return self._thread.is_alive() and not self._is_closed

  def submit(
      self, items: Sequence[Any], kind: Hashable = None
  ) -> list[futures.Future]:
    """Adds items to the queue: either all of them, or none.

    Args:
      items: The items.
      kind: Kind of the items. Only items of the same kind share a batch.

    Returns:
      A future for each item's result. If a future is cancelled before its batch
      starts, the item is not processed.

    Raises:
      FullError: If the queue has no room for the items.
      ClosedError: If the batcher is closed.
    """
    deadline = time.monotonic() + self._max_delay_secs
    weights = itertools.accumulate(map(self._weigh, items), initial=0)
    with self._changed:
      tasks = [
          _Task(item, kind, futures.Future(), deadline, self._round_of(weight))
          for item, weight in zip(items, weights, strict=False)
      ]
      if self._is_closed:
        raise ClosedError("The batcher is closed.")
      if self.num_waiting + len(tasks) > self._max_waiting:
        raise FullError(
            f"{self.num_waiting} items are already waiting, of at most"
            f" {self._max_waiting}."
        )
      # Within a round, the oldest first.
      self._waiting = deque(
          sorted([*self._waiting, *tasks], key=lambda task: task.round)
      )
      self._changed.notify()
    return [task.future for task in tasks]

  def close(self) -> None:
    """Stops accepting items, and returns when the queue is processed."""
    with self._changed:
      self._is_closed = True
      self._changed.notify()
    self._thread.join()

  def _round_of(self, weight_before: int) -> int:
    """Returns the round of an item, given the weight of those before it."""
    return self._round + 1 + weight_before // max(1, self._max_batch_weight)

  def _drop_cancelled(self) -> None:
    self._waiting = deque(
        task for task in self._waiting if not task.future.cancelled()
    )

  def _work(self) -> None:
    while batch := self._take():
      started = [
          task for task in batch if task.future.set_running_or_notify_cancel()
      ]
      if started:
        self._run_batch(started)

  def _run_batch(self, batch: Sequence[_Task]) -> None:
    try:
      results = self._run([task.item for task in batch], batch[0].kind)
      # Complete before the first future is set, as a future can't be set twice.
      pairs = list(zip(batch, results, strict=True))
    except Exception as error:  # Passed to the callers; the thread continues.
      logging.exception("A batch of %d failed.", len(batch))
      for task in batch:
        task.future.set_exception(error)
    else:
      for task, result in pairs:
        task.future.set_result(result)

  def _take(self) -> list[_Task]:
    """Waits for a batch and takes it; it is empty once all is processed."""
    with self._changed:
      while not self._is_closed:
        self._drop_cancelled()
        if not self._waiting:
          self._changed.wait()
          continue
        remaining = self._waiting[0].deadline - time.monotonic()
        if remaining <= 0 or len(self._next()) == self._max_batch_size:
          break
        self._changed.wait(remaining)
      batch = self._next()
      for task in batch:
        self._waiting.remove(task)
        self._round = task.round
      return batch

  def _next(self) -> list[_Task]:
    """Returns the batch that starts with the oldest item of the queue."""
    if not self._waiting:
      return []
    kind = self._waiting[0].kind
    same = [task for task in self._waiting if task.kind == kind]
    same = same[: self._max_batch_size]
    weights = itertools.accumulate(self._weigh(task.item) for task in same)
    fitting = sum(weight <= self._max_batch_weight for weight in weights)
    return same[: max(1, fitting)]
