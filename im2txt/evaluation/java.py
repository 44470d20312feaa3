"""Runs programs of Java, if it is there, and never waits for them for ever."""

from collections.abc import Iterator
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import textwrap
import threading

# Java reads and writes UTF-8 then, whatever the locale; before and since 18.
_UTF_8 = (
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Dsun.stdout.encoding=UTF-8",
)


class JavaError(OSError):
  """Java is missing, too old, or ended otherwise than it should."""


def executable() -> str:
  """The path of Java.

  Raises:
    JavaError: If there is none.
  """
  path = shutil.which("java")
  if not path:
    raise JavaError(
        "There is no Java on the PATH; Debian's is default-jre-headless."
    )
  return path


@contextlib.contextmanager
def running(*arguments: str, timeout: float) -> Iterator[subprocess.Popen[str]]:
  """Runs Java for the length of the block.

  Args:
    *arguments: Java's.
    timeout: Seconds after which it is killed, which the block sees as the end
      of what it says.

  Yields:
    The process, with pipes of text in UTF-8. When the block ends, well or not,
    it is killed if it still runs.

  Raises:
    JavaError: If there is no Java; or if the block raises a ValueError or an
      OSError, as it should when it doesn't get the answers it needs.
  """
  with (
      tempfile.TemporaryFile() as messages,
      subprocess.Popen(
          [executable(), *_UTF_8, *arguments],
          stdin=subprocess.PIPE,
          stdout=subprocess.PIPE,
          stderr=messages,
          encoding="utf-8",
          errors="replace",
          start_new_session=True,
      ) as process,
  ):
    is_late = threading.Event()
    timer = threading.Timer(timeout, _kill, [process, is_late])
    timer.start()
    try:
      yield process
    except (OSError, ValueError) as error:
      if is_late.is_set():
        reason = f"Java took longer than {timeout:.0f} seconds."
      else:
        with contextlib.suppress(subprocess.TimeoutExpired):
          process.wait(1)  # So that its last words are complete.
        messages.seek(0)
        said = messages.read().decode("utf-8", "replace")
        said = textwrap.shorten(said, 200) or "it said nothing more."
        reason = f"Java failed ({getattr(error, 'strerror', '') or error}):"
        reason += f" {said}"
      raise JavaError(reason) from error
    finally:
      timer.cancel()
      _kill(process)
      if process.stdin:
        with contextlib.suppress(OSError):  # What it no longer read is lost.
          process.stdin.close()


def _kill(
    process: subprocess.Popen[str], is_late: threading.Event | None = None
) -> None:
  """Kills a process that has a group of its own, with its children."""
  if process.poll() is None:
    if is_late:
      is_late.set()
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)
