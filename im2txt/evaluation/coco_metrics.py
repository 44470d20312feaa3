"""BLEU, METEOR, ROUGE-L, CIDEr and SPICE, by the COCO caption evaluation code.

Scores are those of the COCO tools (`pycocoevalcap`) for captions tokenized by
`caption_tokenizer`. This module validates the input, suppresses the output of
the scorers, and leaves out the metrics for which Java fails.

CIDEr weights n-grams by the number of images whose references contain them,
counted in the given references. So the CIDEr of a single image is always 0.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import functools
import io
import os
from pathlib import Path
import shutil
import signal
import subprocess
import tempfile
import textwrap
import threading
from typing import NamedTuple

import numpy as np
from pycocoevalcap.bleu import bleu
from pycocoevalcap.cider import cider
from pycocoevalcap.meteor import meteor
from pycocoevalcap.rouge import rouge
from pycocoevalcap.spice import spice

_METEOR_JAR = Path(meteor.__file__).with_name(meteor.METEOR_JAR)
# In seconds. METEOR starts within a few seconds and then scores thousands of
# captions per second.
_METEOR_TIMEOUT = 300.0
_METEOR_TIMEOUT_PER_CAPTION = 0.1

# Make Java read and write UTF-8 in any locale; before and since Java 18.
_UTF_8 = (
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Dsun.stdout.encoding=UTF-8",
)

_References = Sequence[list[str]]
# By metric, the score of all captions and the score of each.
_Columns = dict[str, tuple[float, Iterable[float]]]


class Scores(NamedTuple):
  """Scores of a set of captions.

  Attributes:
    corpus: The score of all captions together, by metric. CIDEr, ROUGE-L and
      SPICE are means over images; BLEU and METEOR are not.
    per_image: The score of each caption, by image id and metric.
    left_out: A sentence that explains why a scorer was left out, by scorer.
  """

  corpus: dict[str, float]
  per_image: dict[int, dict[str, float]]
  left_out: dict[str, str]


class JavaError(OSError):
  """Error raised if Java is missing, too old or fails."""


def score(
    references: Mapping[int, Sequence[str]],
    candidates: Mapping[int, str],
    *,
    scorers: Collection[str] = ("Bleu", "ROUGE_L", "CIDEr"),
) -> Scores:
  """Scores one caption per image against the references of the image.

  Args:
    references: One or more tokenized captions by image id.
    candidates: One tokenized caption, possibly empty, for each of the same
      image ids.
    scorers: A subset of `SCORERS`. "Bleu" computes BLEU-1 to BLEU-4. METEOR
      and SPICE need Java; SPICE downloads about 400 MB at its first use.

  Returns:
    The scores, with metrics in the order of `SCORERS`.

  Raises:
    ValueError: If no images are given, the image ids differ, an image has no
      references, or a scorer is unknown.
  """
  check_scorers(scorers)
  _check(references, candidates)
  reference_lists = [list(captions) for captions in references.values()]
  captions = [candidates[image_id] for image_id in references]
  corpus = {}
  per_image: dict[int, dict[str, float]] = {i: {} for i in references}
  left_out = {}
  for name, compute in _SCORERS.items():
    if name not in scorers:
      continue
    try:
      columns = compute(reference_lists, captions)
    except (OSError, subprocess.SubprocessError) as error:
      left_out[name] = f"{name} was left out. {error}"
      continue
    for metric, (total, column) in columns.items():
      corpus[metric] = float(total)
      for row, value in zip(per_image.values(), column, strict=True):
        row[metric] = float(value)
  return Scores(corpus, per_image, left_out)


def oracle_cider(
    references: Mapping[int, Sequence[str]],
    candidates: Mapping[int, Sequence[str]],
) -> float:
  """Computes the mean over images of the CIDEr of the best caption.

  It is the CIDEr that a perfect choice among the n-best captions would reach.

  Args:
    references: One or more tokenized captions by image id.
    candidates: One or more tokenized captions for each of the same image ids.

  Returns:
    The score, with the same document frequencies as CIDEr.
  """
  longest = max(map(len, candidates.values()), default=0)
  ranks = [
      score(
          references,
          {i: captions[:rank][-1] for i, captions in candidates.items()},
          scorers=["CIDEr"],
      ).per_image
      for rank in range(1, longest + 1)
  ]
  return float(np.mean([max(r[i]["CIDEr"] for r in ranks) for i in references]))


def check_scorers(scorers: Collection[str]) -> None:
  """Raises a ValueError if `scorers` is empty or not a subset of `SCORERS`."""
  unknown = set(scorers).difference(SCORERS)
  if unknown or not scorers:
    raise ValueError(
        f"Metrics must be one or more of {', '.join(SCORERS)}. Got:"
        f" {', '.join(sorted(unknown)) or 'none'}."
    )


def find_java() -> str:
  """Returns the path of the Java executable.

  Raises:
    JavaError: If Java is not installed.
  """
  path = shutil.which("java")
  if not path:
    raise JavaError(
        "Java is not on the PATH. On Debian, install default-jre-headless."
    )
  return path


@contextlib.contextmanager
def run_java(
    *arguments: str, timeout: float
) -> Iterator[subprocess.Popen[str]]:
  """Runs Java for the duration of the block.

  Args:
    *arguments: Command line arguments of Java.
    timeout: Seconds after which Java is killed, which the block sees as the
      end of its output.

  Yields:
    The process, with UTF-8 text pipes. It is killed when the block ends,
    normally or by an exception, if it is still running.

  Raises:
    JavaError: If Java is not installed; or if the block raises a ValueError or
      an OSError, as it should if the output is not as expected.
  """
  with (
      tempfile.TemporaryFile() as stderr,
      subprocess.Popen(
          [find_java(), *_UTF_8, *arguments],
          stdin=subprocess.PIPE,
          stdout=subprocess.PIPE,
          stderr=stderr,
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
          process.wait(1)  # So that stderr is complete.
        stderr.seek(0)
        message = stderr.read().decode("utf-8", "replace")
        message = textwrap.shorten(message, 200) or "no message on stderr."
        reason = f"Java failed ({getattr(error, 'strerror', '') or error}):"
        reason += f" {message}"
      raise JavaError(reason) from error
    finally:
      timer.cancel()
      _kill(process)
      if process.stdin:
        with contextlib.suppress(OSError):  # Unread input is discarded.
          process.stdin.close()


def _kill(
    process: subprocess.Popen[str], is_late: threading.Event | None = None
) -> None:
  """Kills a process group, given its leader."""
  if process.poll() is None:
    if is_late:
      is_late.set()
    with contextlib.suppress(ProcessLookupError):
      os.killpg(process.pid, signal.SIGKILL)


def _check(
    references: Mapping[int, Sequence[str]],
    candidates: Mapping[int, str],
) -> None:
  if not references:
    raise ValueError("There are no captions to score.")
  unmatched = references.keys() ^ candidates.keys()
  if unmatched:
    example = min(unmatched, key=str)
    missing = "reference" if example in candidates else "caption to score"
    raise ValueError(
        f"{len(unmatched)} images do not match; image {example!r} has no"
        f" {missing}."
    )
  for image_id, captions in references.items():
    if not captions:
      raise ValueError(f"Image {image_id!r} has no references.")


def _bleu(references: _References, candidates: Sequence[str]) -> _Columns:
  totals, columns = bleu.Bleu(4).compute_score(
      *_by_index(references, candidates), verbose=0
  )
  pairs = zip(totals, columns, strict=True)
  return {f"Bleu_{n}": pair for n, pair in enumerate(pairs, start=1)}


def _meteor(references: _References, candidates: Sequence[str]) -> _Columns:
  """Computes METEOR by the Java program that `pycocoevalcap` contains.

  Its Python wrapper isn't used, since it waits forever if Java dies.
  """
  timeout = _METEOR_TIMEOUT + _METEOR_TIMEOUT_PER_CAPTION * len(candidates)
  options = ("-", "-", "-stdio", "-l", "en", "-norm")
  with run_java(
      "-Xmx2G", "-jar", str(_METEOR_JAR), *options, timeout=timeout
  ) as process:
    stdin, stdout = process.stdin, process.stdout
    assert stdin and stdout  # They are pipes.

    def send(*fields: str) -> None:
      # The program reads one line per request, with fields separated by bars.
      stdin.write(" ||| ".join(fields) + "\n")
      stdin.flush()

    def receive() -> str:
      line = stdout.readline()
      if not line.endswith("\n"):
        raise ValueError("METEOR ended early.")
      return line.strip()

    statistics = []
    for captions, candidate in zip(references, candidates, strict=True):
      send("SCORE", *map(_meteor_field, captions), _meteor_field(candidate))
      statistics.append(receive())
    send("EVAL", *statistics)
    per_image = [float(receive()) for _ in candidates]
    return {"METEOR": (float(receive()), per_image)}


def _meteor_field(caption: str) -> str:
  return " ".join(caption.replace("|||", "").split())


def _by_coco_tools(
    make_scorer: Callable,
    metric: str,
    references: _References,
    candidates: Sequence[str],
) -> _Columns:
  inputs = _by_index(references, candidates)
  return {metric: make_scorer().compute_score(*inputs)}


def _spice(references: _References, candidates: Sequence[str]) -> _Columns:
  find_java()  # Before the download of what it would run.
  with contextlib.redirect_stdout(io.StringIO()):
    total, parts = spice.Spice().compute_score(
        *_by_index(references, candidates)
    )
  return {"SPICE": (total, [part["All"]["f"] for part in parts])}


def _by_index(
    references: _References, candidates: Sequence[str]
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
  # SPICE accepts only such keys, and returns scores in their order.
  return dict(enumerate(references)), {
      i: [caption] for i, caption in enumerate(candidates)
  }


_SCORERS: Mapping[str, Callable[[_References, Sequence[str]], _Columns]] = {
    "Bleu": _bleu,
    "METEOR": _meteor,
    "ROUGE_L": functools.partial(_by_coco_tools, rouge.Rouge, "ROUGE_L"),
    "CIDEr": functools.partial(_by_coco_tools, cider.Cider, "CIDEr"),
    "SPICE": _spice,
}
SCORERS = tuple(_SCORERS)
