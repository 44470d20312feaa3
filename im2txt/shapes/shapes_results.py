"""Judges captions of the made-up world's held-out scenes.

The top caption of a scene is right if it is, word for word, one of the five
that are true of the scene (`shapes_world.WORDINGS`).
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
import pathlib
import re
from typing import NamedTuple

from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_metrics
from im2txt.report import html_report
from im2txt.shapes import shapes_world

_PERPLEXITY_LINE = re.compile(r"Perplexity = ([\d.]+|inf|nan)")


class Results(NamedTuple):
  """How well the held-out scenes were described.

  Attributes:
    num_scenes: How many there are.
    num_right: Of how many the top caption is right.
    bleu_4: BLEU-4 of the top captions, in [0, 1].
    cider: Their CIDEr, in [0, 10].
    perplexity: The model's, of the scenes' captions.
  """

  num_scenes: int
  num_right: int
  bleu_4: float
  cider: float
  perplexity: float

  def figures(self) -> dict[str, str]:
    """Returns the results as text, by their names."""
    share = self.num_right / self.num_scenes
    return {
        "described right": f"{share:.1%}",
        "held-out scenes": f"{self.num_right} of {self.num_scenes}",
        "BLEU-4": f"{self.bleu_4:.3f}",
        "CIDEr": f"{self.cider:.2f}",
        "perplexity": f"{self.perplexity:.3f}",
    }


def read_captions(
    lines: Iterable[str],
) -> dict[str, list[html_report.Caption]]:
  """Reads what `run_inference --output_format=jsonl` printed.

  Args:
    lines: Its lines.

  Returns:
    The captions of each image, best first, by the name of its file.
  """
  return {
      os.path.basename(image["file"]): [
          html_report.Caption(said["caption"], said["probability"])
          for said in image["captions"]
      ]
      for image in map(json.loads, lines)
  }


def read_perplexity(text: str) -> float:
  """Reads what `evaluate --once` printed.

  Args:
    text: Its output.

  Returns:
    The perplexity.

  Raises:
    ValueError: If the output doesn't tell it.
  """
  match = _PERPLEXITY_LINE.search(text)
  if not match:
    raise ValueError(f"No perplexity in the output of evaluate: {text!r}.")
  return float(match[1])


def judge(
    scenes: Sequence[shapes_world.Scene],
    captions: Mapping[str, Sequence[html_report.Caption]],
    *,
    perplexity: float,
) -> Results:
  """Compares captions with what is true of the scenes.

  Args:
    scenes: The scenes.
    captions: Of each scene, by the name of its file.
    perplexity: What `evaluate` found.

  Returns:
    The results.

  Raises:
    ValueError: If a scene has no caption.
  """
  missing = [s.file_name for s in scenes if not captions.get(s.file_name)]
  if missing:
    raise ValueError(f"{len(missing)} scenes lack a caption: {missing[0]}, ...")
  corpus = coco_metrics.score(
      references={
          scene.image_id: [
              caption_tokenizer.by_python(caption) for caption in scene.captions
          ]
          for scene in scenes
      },
      candidates={
          scene.image_id: caption_tokenizer.by_python(
              captions[scene.file_name][0].text
          )
          for scene in scenes
      },
  ).corpus
  return Results(
      num_scenes=len(scenes),
      num_right=sum(_is_right(scene, captions) for scene in scenes),
      bleu_4=corpus["Bleu_4"],
      cider=corpus["CIDEr"],
      perplexity=perplexity,
  )


def write_report(
    report_dir: pathlib.Path,
    scenes: Sequence[shapes_world.Scene],
    captions: Mapping[str, Sequence[html_report.Caption]],
    results: Results,
    *,
    image_dir: pathlib.Path,
) -> pathlib.Path:
  """Writes a page of the scenes with their captions.

  Args:
    report_dir: The folder of the report.
    scenes: The scenes.
    captions: Of each scene, by the name of its file.
    results: What `judge` found.
    image_dir: The folder with the pictures.

  Returns:
    The path of the page.
  """
  return html_report.write(
      report_dir,
      title="Scenes with pairs of objects never seen together",
      summary=(
          "What a model trained by the im2txt quickstart says of pictures whose"
          " two objects were never in one picture in training. A caption is"
          " right if it is, word for word, one of the five that are true of the"
          " picture. Beside each caption is its probability."
      ),
      figures=results.figures(),
      pictures=(
          html_report.Picture(
              path=image_dir / scene.file_name,
              captions=captions[scene.file_name],
              references=scene.captions,
              is_right=_is_right(scene, captions),
          )
          for scene in scenes
      ),
  )


def _is_right(
    scene: shapes_world.Scene,
    captions: Mapping[str, Sequence[html_report.Caption]],
) -> bool:
  return captions[scene.file_name][0].text in scene.captions
