"""The entry point of all programs: flags, --help, errors and exit status.

A program defines its flags at module level, `def main(argv)`, and

    def run() -> None:
      program.run(main)

In `main`, before anything that imports TensorFlow, it calls
`program.import_tensorflow()`. A text flag is taken for a path, in which `~`
means the home folder, unless `run` gets the flag's name in `words`.

A user's mistake results in one sentence on stderr and a non-zero exit status;
`--verbosity=1` adds the traceback. `--help` prints the docstring and the flags.
"""

from collections.abc import Callable
from collections.abc import Collection
import io
import logging as standard_logging
import os
from pathlib import Path
import re
import signal
import sys

from absl import app
from absl import flags
from absl import logging

from im2txt.runtime import atomic_files
from im2txt.runtime import home_folder
from im2txt.runtime import tensorflow_start

import_tensorflow = tensorflow_start.import_tensorflow

# Hides TensorFlow's start-up messages unless the user sets the variable. What
# TensorFlow prints regardless, `import_tensorflow` removes.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# By default a process takes all memory of all GPUs, and evaluate could not run
# beside train.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")

# The format of the original's log lines, which scripts may search for.
_LOG_FORMAT = "%(levelname)s:tensorflow:%(message)s"

# The names of operations that TensorFlow puts around an error message.
_OP_NAMES = re.compile(r"^\{\{.*?\}\} *| *\[Op:.*$", re.DOTALL)


def run(
    main: Callable[[list[str]], int | None],
    *,
    positional: int = 0,
    words: Collection[str] = (),
) -> None:
  """Parses the flags, calls `main` and exits with the status it returns.

  A `~` at the start of a path is replaced by the home folder, in positional
  arguments and in text flags.

  Args:
    main: Function from the program's name and positional arguments to the exit
      status, where None means 0. A ValueError, an OSError or an error of
      TensorFlow results in status 1, an `app.UsageError` in status 2.
    positional: The maximum number of positional arguments.
    words: Names of flags whose text is not a path and may begin with "~".
  """

  def parse(argv: list[str]) -> list[str]:
    if {"--help", "--helpshort", "-h"}.intersection(argv):
      module = sys.modules[main.__module__]
      flags_help = flags.FLAGS.module_help(module).partition(":\n")[2]
      heading = "\nFlags:\n" if flags_help.strip() else ""
      print(f"{module.__doc__}{heading}{flags_help}", flush=True)
      sys.exit()
    try:
      return _with_home_folders(flags.FLAGS(argv), words)
    except (flags.Error, ValueError) as error:
      sys.exit(_report(error, 2))

  if isinstance(sys.stdout, io.TextIOWrapper):
    # A file name that is not valid UTF-8 is printed byte by byte.
    sys.stdout.reconfigure(errors="surrogateescape")
  formatter = standard_logging.Formatter(_LOG_FORMAT)
  logging.get_absl_handler().setFormatter(formatter)
  try:
    app.run(lambda argv: _guarded(main, argv, positional), flags_parser=parse)
  except BrokenPipeError:  # As in `program | head`.
    _discard_stdout()
    sys.exit(128 + 13)  # The status of a program that SIGPIPE terminated.


def _with_home_folders(argv: list[str], words: Collection[str]) -> list[str]:
  """Expands `~` in the arguments and in all flags except `words`."""
  for name in set(flags.FLAGS).difference(words):
    flag = flags.FLAGS[name]
    try:
      if isinstance(flag.value, str):
        flag.value = home_folder.expand(flag.value)
      elif isinstance(flag.value, list):
        flag.value = [home_folder.expand(str(value)) for value in flag.value]
    except ValueError as error:
      raise ValueError(f"--{name}: {error}") from None
  return [*argv[:1], *map(home_folder.expand, argv[1:])]


def require(*holders: flags.FlagHolder) -> None:
  """Raises an `app.UsageError` for the first flag without a value."""
  for holder in holders:
    if holder.value in (None, "", []):
      raise app.UsageError(f"--{holder.name} is required.")


def say(line: str) -> None:
  """Prints a line on stdout without disturbing a progress bar."""
  # Imported here, because most programs have no bar.
  import tqdm

  tqdm.tqdm.write(line, file=sys.stdout)
  sys.stdout.flush()


def exit_on_sigterm() -> None:
  """Makes SIGTERM end the program like Ctrl-C, with clean-up."""

  def end(signal_number: int, frame: object) -> None:
    del frame
    sys.exit(128 + signal_number)

  signal.signal(signal.SIGTERM, end)


def _guarded(main, argv: list[str], positional: int) -> int | None:
  try:
    if len(argv) > 1 + positional:
      raise app.UsageError(f"Unexpected argument: {argv[1 + positional]!r}.")
    status = main(argv)
    sys.stdout.flush()
    return status
  except app.UsageError as error:
    return _report(error, 2)
  except BrokenPipeError:
    raise
  except KeyboardInterrupt:
    return _report("Interrupted.", 128 + 2)
  except _reported_errors() as error:
    logging.debug("The error's traceback:", exc_info=True)
    return _report(error, 1)


def _reported_errors() -> tuple[type[Exception], ...]:
  """Returns the error classes that users can cause."""
  tf = sys.modules.get("tensorflow")
  return (ValueError, OSError, *([tf.errors.OpError] if tf else []))


def _report(error: Exception | str, status: int) -> int:
  message = _OP_NAMES.sub("", str(error))
  if isinstance(error, OSError) and error.strerror:
    # File errors have a file name; an error without one comes from `print`.
    is_full = error.errno in atomic_files.DISK_ERRORS
    is_unnamed = error.filename is None and is_full
    name = "standard output" if is_unnamed else error.filename
    if is_unnamed:
      _discard_stdout()
    if not isinstance(error, atomic_files.WriteError):  # Already a sentence.
      message = error.strerror + (f": {name}" if name else "")
  name = Path(sys.argv[0]).stem
  print(f"{name}: {' '.join(message.split())}", file=sys.stderr)
  return status


def _discard_stdout() -> None:
  """Discards further output, including what Python flushes at exit."""
  os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
