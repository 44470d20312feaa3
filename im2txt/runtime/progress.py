"""A progress bar on stderr, or none at the cost of none."""

import sys
from typing import Any


class Hidden:
  """Stands in for a bar that is not to be seen."""

  def __init__(self, items: Any = ()):
    self._items = items

  def __enter__(self) -> "Hidden":
    return self

  def __exit__(self, *exception: object) -> None:
    pass

  def __iter__(self) -> Any:
    return iter(self._items)

  def update(self, count: int = 1) -> None:
    """Does nothing."""


def bar(title: str, total: int, *, items: Any = (), is_shown: bool) -> Any:
  """A context with a method `update`, or an iterator of items.

  Args:
    title: What is done.
    total: How many items there are.
    items: The items, if they are to be iterated over.
    is_shown: Whether to show it, if stderr is a terminal.

  Returns:
    A tqdm bar, or a `Hidden` one.
  """
  if not is_shown or not sys.stderr.isatty():
    return Hidden(items)
  # Only now, as it takes 5 MB.
  import tqdm

  return tqdm.tqdm(items or None, title, total)


def write(line: str) -> None:
  """Prints a line on stderr, above a bar that may be there."""
  if "tqdm" in sys.modules:
    sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
  else:
    print(line, file=sys.stderr)
