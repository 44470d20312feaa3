"""Compares variants of the same work, on a machine that may be busy.

    variants = [
        measure.Variant("plain", functools.partial(make_run, fast=False)),
        measure.Variant("ours", functools.partial(make_run, fast=True)),
    ]
    measure.print_table(
        measure.compare(variants, rounds=5), unit="step", baseline="plain"
    )

Each variant lives in a process of its own, so that memory, TensorFlow's options
and its threads are its own too; the processes work by turns, a round each, so
that what else the machine does falls on all of them alike. Of the rounds the
median and the minimum are told. Wall-clock time depends on what else runs;
CPU-seconds, the time of all cores, much less.
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

# Does a round of work and returns how many units (steps, images) that were.
Run = Callable[[], float]


class Variant(NamedTuple):
  """A way to do the work.

  Attributes:
    name: Its name in the table.
    make_run: Prepares the work; called in the variant's own process. A function
      of a module's top level, or a `functools.partial` of one.
  """

  name: str
  make_run: Callable[[], Run]


class Round(NamedTuple):
  """What a round took; seconds of each unit.

  Attributes:
    wall_secs: By the clock.
    cpu_secs: Of all cores, child processes included.
  """

  wall_secs: float
  cpu_secs: float


class Result(NamedTuple):
  """What a variant took.

  Attributes:
    name: The variant's.
    rounds: Each round, in order; those to warm up are left out.
    peak_mib: The most memory that the process held, or a child of it if that is
      more, in MiB; from its start on, so the preparation counts.
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
    """The least of the rounds."""
    return Round(*map(min, zip(*self.rounds, strict=True)))


def compare(
    variants: Sequence[Variant], *, rounds: int, warmups: int = 1
) -> list[Result]:
  """Runs the variants by turns.

  Args:
    variants: The variants, of different names.
    rounds: How many rounds of each count.
    warmups: How many rounds of each come before those and don't count.

  Returns:
    The results, in the order of `variants`.

  Raises:
    RuntimeError: If a variant fails; its process has printed why.
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
  """Prints the results as a Markdown table, with the machine they are of.

  Args:
    results: What `compare` returned.
    unit: What is counted, such as "step".
    baseline: The variant to compare the others with; the first if None.
  """
  base = next(r for r in results if r.name == (baseline or results[0].name))
  print(f"\n{machine()}\n")
  print(
      f"| variant | CPU ms a {unit} | (min) | wall ms a {unit} | (min)"
      f" | {unit}s/s | times fewer CPU | peak MiB |"
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
  """Does a round of work, in this process, and says what it took."""
  wall, cpu = time.perf_counter(), _cpu_secs()
  units = run()
  wall, cpu = time.perf_counter() - wall, _cpu_secs() - cpu
  return Round(wall / units, cpu / units)


def peak_mib() -> float:
  """Returns the peak memory of this process or of a child process."""
  # ru_maxrss of a process counts what its parent held; VmHWM does not.
  with open("/proc/self/status", encoding="utf-8") as file:
    match = re.search(r"VmHWM:\s*(\d+) kB", file.read())
  own = int(match[1]) if match else 0
  children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
  return max(own, children) / 1024


def machine() -> str:
  """Returns the machine, and what Python runs on it, in a line."""
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
  """Has a worker do a round; returns the round and the worker's peak memory."""
  pipe.send(True)
  while process.is_alive() and not pipe.poll(1):
    pass
  try:
    if pipe.poll():
      return pipe.recv()
  except EOFError:  # The process has died, and its end of the pipe with it.
    pass
  raise RuntimeError(f"The variant {name!r} failed; see above.")


def _work(make_run: Callable[[], Run], pipe: connection.Connection) -> None:
  """What a variant's process does: a round whenever it is asked to."""
  run = None
  while pipe.recv():
    run = run or make_run()
    pipe.send((time_round(run), peak_mib()))
  sys.stdout.flush()


def _cpu_secs() -> float:
  # Of this process and its children; os.times counts hundredths only.
  usages = map(
      resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
  )
  return sum(usage.ru_utime + usage.ru_stime for usage in usages)
