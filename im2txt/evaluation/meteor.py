"""METEOR, by the COCO tools' program of Java.

The program is the one that `pycocoevalcap` brings along. Its own wrapper isn't
used, since that waits for ever when Java dies.
"""

from collections.abc import Sequence
from pathlib import Path

from pycocoevalcap.meteor import meteor

from im2txt.evaluation import java

_JAR = Path(meteor.__file__).with_name(meteor.METEOR_JAR)
# Seconds: it starts in a few, and then scores some thousand captions in one.
_TIMEOUT = 300.0
_TIMEOUT_PER_CAPTION = 0.1


def score(
    references: Sequence[Sequence[str]], candidates: Sequence[str]
) -> tuple[float, list[float]]:
  """Scores one caption of each image against its references.

  Args:
    references: Of each image, one or more captions, split into words.
    candidates: Of each image, one caption, split into words.

  Returns:
    METEOR of all captions together, and of each alone.

  Raises:
    java.JavaError: If Java is missing or fails.
  """
  with java.running(
      "-Xmx2G",
      "-jar",
      str(_JAR),
      "-",
      "-",
      "-stdio",
      "-l",
      "en",
      "-norm",
      timeout=_TIMEOUT + _TIMEOUT_PER_CAPTION * len(candidates),
  ) as process:
    stdin, stdout = process.stdin, process.stdout
    assert stdin and stdout  # They are pipes.

    def answer() -> str:
      line = stdout.readline()
      if not line.endswith("\n"):
        raise ValueError("METEOR ended early.")
      return line.strip()

    def say(*fields: str) -> None:
      # The program takes a line of fields, with these bars in between.
      stdin.write(" ||| ".join(fields) + "\n")
      stdin.flush()

    statistics = []
    for expected, found in zip(references, candidates, strict=True):
      say("SCORE", *map(_field, expected), _field(found))
      statistics.append(answer())
    say("EVAL", *statistics)
    per_image = [float(answer()) for _ in candidates]
    return float(answer()), per_image


def _field(caption: str) -> str:
  return " ".join(caption.replace("|||", "").split())
