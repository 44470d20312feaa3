"""Lets a long run end itself when it is told to stop."""

from collections.abc import Iterator
import contextlib
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
  """Whether a run was told to stop.

  Attributes:
    signal: The signal that told so; None before.
  """

  def __init__(self) -> None:
    self.signal: signal.Signals | None = None

  @property
  def exit_status(self) -> int:
    """What a shell shows of a program that the signal ended; 0 without one."""
    return 128 + self.signal if self.signal else 0


@contextlib.contextmanager
def catch() -> Iterator[StopRequest]:
  """Catches SIGINT and SIGTERM while the context lasts.

  A second signal acts as if nothing caught it, so that a run that does not
  come to its end can be stopped for good.

  Yields:
    The request, which the first signal sets.
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
