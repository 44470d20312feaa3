"""Progress on stderr: a bar on a terminal, a line now and then in a log."""

from collections.abc import Iterable
from collections.abc import Iterator
import datetime
import sys
import time
from typing import Any

# Seconds from one line in a log to the next.
_LINE_SECS = 30


class _Lines:
  """Does what a tqdm bar does, with lines for whoever reads a log later."""

  def __init__(self, title: str, total: int, items: Iterable[Any] = ()):
    self._title = title
    self._total = total
    self._items = items
    self._count = 0
    self._postfix = ""
    self._start = self._next_line = time.monotonic()
    self._next_line += _LINE_SECS

  def __enter__(self) -> "_Lines":
    return self

  def __exit__(self, *exception: object) -> None:
    self._write()

  def __iter__(self) -> Iterator[Any]:
    with self:
      for item in self._items:
        yield item
        self.update()

  def update(self, count: int = 1) -> None:
    """Counts items, and writes a line if the last one was long ago."""
    self._count += count
    if time.monotonic() >= self._next_line:
      self._write()
      self._next_line = time.monotonic() + _LINE_SECS

  def set_postfix_str(self, postfix: str, refresh: bool = True) -> None:
    """Sets what the next line ends with."""
    del refresh  # As if it were False: lines are rare.
    self._postfix = f", {postfix}"

  def _write(self) -> None:
    elapsed = datetime.timedelta(seconds=int(time.monotonic() - self._start))
    print(
        f"{self._title}: {self._count} of {self._total} in"
        f" {elapsed}{self._postfix}",
        file=sys.stderr,
        flush=True,
    )


class _Hidden(_Lines):
  """Stands in for a bar that is not to be seen."""

  def _write(self) -> None:
    pass


def bar(
    title: str,
    total: int,
    *,
    items: Iterable[Any] = (),
    is_shown: bool = True,
    **options: Any,
) -> Any:
  """Returns a context with a method `update`, or an iterator of items.

  Args:
    title: What is done.
    total: How many items there are.
    items: The items, if they are to be iterated over.
    is_shown: Whether to show anything at all.
    **options: Further arguments of a tqdm bar.

  Returns:
    A tqdm bar if stderr is a terminal. Otherwise something that can be used
    like one and writes a line each half minute, and one at the end.
  """
  if not is_shown:
    return _Hidden(title, total, items)
  if not sys.stderr.isatty():
    return _Lines(title, total, items)
  # Only now, as it takes 5 MB.
  import tqdm

  return tqdm.tqdm(items or None, title, total, **options)


def write(line: str) -> None:
  """Prints a line on stderr, above a bar that may be there."""
  if "tqdm" in sys.modules:
    sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
  else:
    print(line, file=sys.stderr)
