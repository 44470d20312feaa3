"""Lets a long run stop cleanly on SIGINT or SIGTERM."""

from collections.abc import Iterator
import contextlib
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
  """A request to stop a run.

  Attributes:
    signal: The signal that was received; None if there was none.
  """

  def __init__(self) -> None:
    self.signal: signal.Signals | None = None

  @property
  def exit_status(self) -> int:
    """The exit status for the signal, by a shell's convention; 0 if None."""
    return 128 + self.signal if self.signal else 0


@contextlib.contextmanager
def catch() -> Iterator[StopRequest]:
  """Catches SIGINT and SIGTERM in the block.

  Only the first signal is caught, so a second one ends a run that does not
  stop.

  Yields:
    The request, whose `signal` the first signal sets.
  """
  request = StopRequest()

  def handle(number, frame):
    del frame
    request.signal = signal.Signals(number)
    for caught, handler in earlier.items():
      signal.signal(caught, handler)

  earlier = {caught: signal.signal(caught, handle) for caught in SIGNALS}
  try:
    yield request
  finally:
    for caught, handler in earlier.items():
      signal.signal(caught, handler)
