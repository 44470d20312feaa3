"""Progress on stderr: a bar on a terminal, occasional lines in a log."""

from collections.abc import Iterable
from collections.abc import Iterator
import datetime
import sys
import time
from typing import Any

# Seconds between two lines in a log.
_LINE_SECS = 30


class _Lines:
  """A substitute for a tqdm bar that prints lines, for logs."""

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
    """Counts items, and prints a line if the last one is old enough."""
    self._count += count
    if time.monotonic() >= self._next_line:
      self._write()
      self._next_line = time.monotonic() + _LINE_SECS

  def set_postfix_str(self, postfix: str, refresh: bool = True) -> None:
    """Sets the end of the next line."""
    del refresh  # Treated as False, since lines are rare.
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
  """A substitute for a tqdm bar that prints nothing."""

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
  """Returns a progress bar: a context with `update`, or an iterator of items.

  Args:
    title: Description of the work.
    total: The number of items.
    items: The items, if the bar is used as an iterator.
    is_shown: Whether to show the progress.
    **options: Further arguments of a tqdm bar.

  Returns:
    A tqdm bar if stderr is a terminal. Otherwise an object with the same
    methods that prints a line every half minute, and one at the end.
  """
  if not is_shown:
    return _Hidden(title, total, items)
  if not sys.stderr.isatty():
    return _Lines(title, total, items)
  # Imported here, because it takes 5 MB.
  import tqdm

  return tqdm.tqdm(items or None, title, total, **options)


def write(line: str) -> None:
  """Prints a line on stderr, above the progress bar if there is one."""
  if "tqdm" in sys.modules:
    sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
  else:
    print(line, file=sys.stderr)
