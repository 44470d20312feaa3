"""Compares the time and memory of variants of the same work.

    variants = [
        measure.Variant("plain", functools.partial(make_run, fast=False)),
        measure.Variant("ours", functools.partial(make_run, fast=True)),
    ]
    measure.print_table(
        measure.compare(variants, rounds=5), unit="step", baseline="plain"
    )

Each variant runs in a process of its own, with its own memory, TensorFlow
options and threads. The processes take turns, one round each, so that other
work on the machine affects all variants alike. The table shows the median and
the minimum of the rounds. Wall-clock time depends on other work; CPU-seconds,
summed over all cores, depend on it much less.
"""

from collections.abc import Callable
from collections.abc import Sequence
import multiprocessing
from multiprocessing import connection
import os
import platform
import re
import resource
import statistics
import sys
import time
from typing import NamedTuple

import tqdm

# Does one round of work, and returns its number of units (steps or images).
Run = Callable[[], float]


class Variant(NamedTuple):
  """A variant of the work.

  Attributes:
    name: The name in the table.
    make_run: Function that prepares the work and returns it; called in the
      variant's process. It must be picklable: a function at a module's top
      level, or a `functools.partial` of one.
  """

  name: str
  make_run: Callable[[], Run]


class Round(NamedTuple):
  """The duration of one round, per unit of work.

  Attributes:
    wall_secs: Wall-clock seconds.
    cpu_secs: CPU-seconds of all cores, including child processes.
  """

  wall_secs: float
  cpu_secs: float


class Result(NamedTuple):
  """The measurements of a variant.

  Attributes:
    name: The name of the variant.
    rounds: The rounds in order, without warm-up rounds.
    peak_mib: Peak memory of the process or of a child process, whichever is
      larger, in MiB; including the preparation.
  """

  name: str
  rounds: Sequence[Round]
  peak_mib: float

  @property
  def median(self) -> Round:
    """The medians of the rounds."""
    return Round(*map(statistics.median, zip(*self.rounds, strict=True)))

  @property
  def minimum(self) -> Round:
    """The minima of the rounds."""
    return Round(*map(min, zip(*self.rounds, strict=True)))


def compare(
    variants: Sequence[Variant], *, rounds: int, warmups: int = 1
) -> list[Result]:
  """Runs the variants in turns.

  Args:
    variants: The variants, with different names.
    rounds: Number of rounds per variant to measure.
    warmups: Number of rounds per variant before that, which are not measured.

  Returns:
    The results, in the order of `variants`.

  Raises:
    RuntimeError: If a variant fails; its process has printed the reason.
  """
  context = multiprocessing.get_context("spawn")
  workers = []
  for variant in variants:
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_work, args=(variant.make_run, theirs), daemon=True
    )
    workers.append((variant.name, process, ours))
  measured: dict[str, list[Round]] = {variant.name: [] for variant in variants}
  peaks = {}
  total = (warmups + rounds) * len(variants)
  with tqdm.tqdm(total=total, unit="round", disable=None) as bar:
    for number in range(warmups + rounds):
      for name, process, pipe in workers:
        bar.set_postfix_str(name)
        if not number:
          process.start()
        one_round, peaks[name] = _ask(name, process, pipe)
        if number >= warmups:
          measured[name].append(one_round)
        bar.update()
  for _, process, pipe in workers:
    pipe.send(False)
    process.join()
  return [Result(name, measured[name], peaks[name]) for name in measured]


def print_table(
    results: Sequence[Result], *, unit: str, baseline: str | None = None
) -> None:
  """Prints the machine, and the results as a Markdown table.

  Args:
    results: The results of `compare`.
    unit: Name of a unit of work, such as "step".
    baseline: Name of the variant to compare with; the first one if None.
  """
  base = next(r for r in results if r.name == (baseline or results[0].name))
  print(f"\n{machine()}\n")
  print(
      f"| variant | CPU ms/{unit} | (min) | wall ms/{unit} | (min)"
      f" | {unit}s/s | CPU speed-up | peak MiB |"
  )
  print("| --- |" + " ---: |" * 7)
  for result in results:
    median, minimum = result.median, result.minimum
    print(
        f"| {result.name} | {1000 * median.cpu_secs:.2f}"
        f" | {1000 * minimum.cpu_secs:.2f} | {1000 * median.wall_secs:.2f}"
        f" | {1000 * minimum.wall_secs:.2f} | {1 / median.wall_secs:.4g}"
        f" | {base.median.cpu_secs / median.cpu_secs:.2f}"
        f" | {result.peak_mib:.0f} |"
    )


def time_round(run: Run) -> Round:
  """Runs a round of work in this process, and returns its duration."""
  wall, cpu = time.perf_counter(), _cpu_secs()
  units = run()
  wall, cpu = time.perf_counter() - wall, _cpu_secs() - cpu
  return Round(wall / units, cpu / units)


def peak_mib() -> float:
  """Returns the peak memory of this process or of a child process."""
  # ru_maxrss includes memory inherited from the parent; VmHWM does not.
  with open("/proc/self/status", encoding="utf-8") as file:
    match = re.search(r"VmHWM:\s*(\d+) kB", file.read())
  own = int(match[1]) if match else 0
  children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
  return max(own, children) / 1024


def machine() -> str:
  """Returns the processor, number of cores and Python version, in one line."""
  processor = platform.processor() or platform.machine()
  try:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
      match = re.search(r"model name\s*: (.+)", file.read())
      processor = match[1] if match else processor
  except OSError:  # Only Linux has that file.
    pass
  cores = len(os.sched_getaffinity(0))
  return f"{processor}, {cores} cores, Python {platform.python_version()}"


def _ask(
    name: str,
    process: multiprocessing.process.BaseProcess,
    pipe: connection.Connection,
) -> tuple[Round, float]:
  """Requests a round of a worker; returns it with the worker's peak memory."""
  pipe.send(True)
  while process.is_alive() and not pipe.poll(1):
    pass
  try:
    if pipe.poll():
      return pipe.recv()
  except EOFError:  # The process has died.
    pass
  raise RuntimeError(f"The variant {name!r} failed; see above.")


def _work(make_run: Callable[[], Run], pipe: connection.Connection) -> None:
  """Runs in a variant's process: one round per request."""
  run = None
  while pipe.recv():
    run = run or make_run()
    pipe.send((time_round(run), peak_mib()))
  sys.stdout.flush()


def _cpu_secs() -> float:
  # Not os.times, whose resolution is 10 ms.
  usages = map(
      resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
  )
  return sum(usage.ru_utime + usage.ru_stime for usage in usages)
