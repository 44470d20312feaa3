"""Imports TensorFlow without the messages of its C++ code.

That code writes to the file descriptor of stderr before its log levels apply:
the processor features that it uses and, on a machine without a GPU, a harmless
error of CUDA. During the import and the first search for devices, a separate
process reads these lines and forwards those that are not known to be harmless.
It is a process, not a thread, because a thread would lose the last lines before
a crash.
"""

from collections.abc import Iterator
import contextlib
import glob
import logging as standard_logging
import os
import re
import shutil
import signal
import sys

from absl import logging

# The variable's values at which TensorFlow reports its start, as a user who
# sets one of them expects.
_LOG_LEVEL, _CHATTY_LEVELS = "TF_CPP_MIN_LOG_LEVEL", ("0", "1")

_HARMLESS = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IW]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d \d\d:\d\d:\S+ [IW] "
    rb"|To enable the following instructions: "
    rb"|\S*E.*(failed call to cuInit|Unable to register \w+ factory)"
)

# The reasons among those lines, after the place in the code.
_REASON = re.compile(rb".*\] *(.*(?:cuInit|cuda drivers|dlopen).*)", re.I)


def import_tensorflow(*, with_keras: bool = True) -> None:
  """Imports TensorFlow and has it look for devices, without start-up noise.

  If the machine has an NVIDIA GPU that TensorFlow can't use, a warning gives
  the reason. With TF_CPP_MIN_LOG_LEVEL=0 or 1, TensorFlow prints everything.

  Args:
    with_keras: Whether the program uses Keras, which TensorFlow imports if it
      is installed. Leaving it out saves 0.8 of 3.3 CPU-seconds and 48 MiB of
      memory; it can't be imported later by the same process.
  """
  if not with_keras:
    # How Python marks a module that must not be imported.
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
  # Keras imports matplotlib, whose first import logs that it collects fonts.
  fonts = standard_logging.getLogger("matplotlib.font_manager")
  fonts.setLevel(standard_logging.ERROR)
  is_chatty = os.environ.get(_LOG_LEVEL, "0") in _CHATTY_LEVELS
  if is_chatty or "tensorflow" in sys.modules:
    return
  with _harmless_lines_removed() as removed:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
  if not gpus and _has_nvidia_gpu():
    reasons = _REASON.findall(b"".join(removed))
    logging.warning(
        "TensorFlow can't use the NVIDIA GPU of this machine, and computes on"
        " the processor. %s",
        reasons[-1].decode(errors="replace") if reasons else "",
    )


def _has_nvidia_gpu() -> bool:
  """Returns whether the machine has an NVIDIA GPU, unless the user hides it."""
  if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
    return False
  return bool(glob.glob("/dev/nvidia[0-9]*") or shutil.which("nvidia-smi"))


@contextlib.contextmanager
def _harmless_lines_removed() -> Iterator[list[bytes]]:
  """Removes harmless lines from stderr.

  No other thread may be running, because this process forks.

  Yields:
    A list to which the removed lines are added when the block ends.
  """
  removed: list[bytes] = []
  try:
    stderr = os.dup(2)
  except OSError:  # A program that was started without a stderr.
    yield removed
    return
  lines_out, lines_in = os.pipe()
  removed_out, removed_in = os.pipe()
  reader = os.fork()
  if not reader:
    try:
      for signal_number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signal_number, signal.SIG_IGN)  # Ends with its parent.
      os.close(lines_in)
      _sort(lines_out, removed_in)
    finally:
      os._exit(0)
  os.close(lines_out)
  os.close(removed_in)
  os.dup2(lines_in, 2)
  os.close(lines_in)
  try:
    yield removed
  finally:
    sys.stderr.flush()
    os.dup2(stderr, 2)
    os.close(stderr)
    with open(removed_out, "rb") as file:
      removed.extend(file)
    os.waitpid(reader, 0)


def _sort(lines: int, removed: int) -> None:
  """Copies lines to stderr, and the harmless ones to `removed` at the end.

  Args:
    lines: The file descriptor to read from.
    removed: The file descriptor for harmless lines.
  """
  harmless = []
  with open(lines, "rb") as source:
    for line in source:
      if _HARMLESS.match(line):
        harmless.append(line)
      else:
        os.write(2, line)
  with open(removed, "wb") as file:
    file.writelines(harmless)
