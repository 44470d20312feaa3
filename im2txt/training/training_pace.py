"""When something of a run is due, and how fast the run goes."""

import time

from absl import logging

# Often enough to see that a run goes on and when it will end.
_RATE_LOG_SECS = 10.0


class Timer:
  """Tells when an interval is over, and starts the next."""

  def __init__(self, seconds: float, *, due_at_once: bool = False):
    self._seconds = seconds
    self._next = time.monotonic() + (0 if due_at_once else seconds)

  def is_due(self) -> bool:
    """Whether the interval is over; then the next begins."""
    if time.monotonic() < self._next:
      return False
    self._next = time.monotonic() + self._seconds
    return True


class Pace:
  """Measures and logs the speed of a run."""

  def __init__(self, step: int):
    self._since = time.monotonic()
    self._step = step
    self.steps_per_second = 0.0

  def log(self, step: int, number_of_steps: int) -> None:
    """Logs the speed since the last log, if that is long enough ago."""
    seconds = time.monotonic() - self._since
    if seconds < _RATE_LOG_SECS:
      return
    self.steps_per_second = (step - self._step) / seconds
    left = round((number_of_steps - step) / self.steps_per_second)
    logging.info(
        "global_step/sec: %.4g (%d:%02d:%02d left)",
        self.steps_per_second,
        left // 3600,
        left // 60 % 60,
        left % 60,
    )
    self._since, self._step = time.monotonic(), step
