"""Puts what many callers ask for into batches, which one thread works off.

    callers --submit--> waiting --batches of one kind--> run --> futures

While a batch is worked on, the next one gathers. An idle thread waits a moment
for company before it takes what there is. Of what waits, the oldest decides
which kind comes next, so that no kind waits forever. What is cancelled while it
waits costs nothing; what waits has an upper limit.

Requests take turns by rounds: of a request that weighs more than a batch may,
the first batch is in the next round, the second in the one after, and so on. So
others wait for no more than one batch of it.
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
  """No more can wait at the moment."""


class ClosedError(RuntimeError):
  """Nothing more is accepted."""


@dataclasses.dataclass(frozen=True, eq=False)
class _Task:
  item: Any
  kind: Hashable
  future: futures.Future
  deadline: float  # When it is taken even into a batch that isn't full.
  round: int


class Batcher:
  """Works off items in batches, in a thread of its own."""

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
      run: Takes the items of a batch and their kind; returns their results.
      weigh: Gives an item's weight.
      max_batch_size: The most items of a batch.
      max_batch_weight: The most that they weigh, unless it is one alone.
      max_delay_secs: How long an item waits for others to come while nothing
        else is done.
      max_waiting: The most items to wait, those in work not counted.

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
    self._round = 0  # Of the last batch.
    self._changed = threading.Condition()
    self._is_closed = False
    # As a daemon, it keeps no process alive that fails before `close`.
    self._thread = threading.Thread(
        target=self._work, name="batcher", daemon=True
    )
    self._thread.start()

  @property
  def num_waiting(self) -> int:
    """How many items wait."""
    with self._changed:
      self._drop_cancelled()
      return len(self._waiting)

  @property
  def is_full(self) -> bool:
    """Whether nothing more can wait."""
    return self.num_waiting >= self._max_waiting

  @property
  def is_working(self) -> bool:
    """Whether items are accepted and worked off."""
    return self._thread.is_alive() and not self._is_closed

  def submit(
      self, items: Sequence[Any], kind: Hashable = None
  ) -> list[futures.Future]:
    """Has items worked off; all of them are accepted, or none.

    Args:
      items: The items.
      kind: Only items of the same kind share a batch.

    Returns:
      A future for each item's result. Cancelled before its batch begins, the
      item is not worked on.

    Raises:
      FullError: If too many wait.
      ClosedError: After `close`.
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
        raise FullError(f"{self.num_waiting} items wait already.")
      # Within a round, the oldest first.
      self._waiting = deque(
          sorted([*self._waiting, *tasks], key=lambda task: task.round)
      )
      self._changed.notify()
    return [task.future for task in tasks]

  def close(self) -> None:
    """Accepts nothing more, and returns when all that waits is worked off."""
    with self._changed:
      self._is_closed = True
      self._changed.notify()
    self._thread.join()

  def _round_of(self, weight_before: int) -> int:
    """Returns the round of an item after others of its request."""
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
      # Before any is told, lest one caller has both a result and an error.
      pairs = list(zip(batch, results, strict=True))
    except Exception as error:  # Whoever asked is to know; the thread lives on.
      logging.exception("A batch of %d failed.", len(batch))
      for task in batch:
        task.future.set_exception(error)
    else:
      for task, result in pairs:
        task.future.set_result(result)

  def _take(self) -> list[_Task]:
    """Waits for a batch and takes it; an empty one says that all is done."""
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
    """Returns the batch of the oldest that waits, as it is now."""
    if not self._waiting:
      return []
    kind = self._waiting[0].kind
    same = [task for task in self._waiting if task.kind == kind]
    same = same[: self._max_batch_size]
    weights = itertools.accumulate(self._weigh(task.item) for task in same)
    fitting = sum(weight <= self._max_batch_weight for weight in weights)
    return same[: max(1, fitting)]
