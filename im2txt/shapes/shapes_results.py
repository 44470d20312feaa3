"""Scores captions of held-out scenes, and writes a report.

The best caption of a scene is right if it equals one of the scene's five true
captions (`shapes_world.WORDINGS`) word for word.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import json
import os
import pathlib
import re

from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_metrics
from im2txt.report import html_report
from im2txt.shapes import shapes_world

_PERPLEXITY_LINE = re.compile(r"Perplexity = ([\d.]+|inf|nan)")


def read_captions(
    lines: Iterable[str],
) -> dict[str, list[html_report.ReportCaption]]:
  """Parses the output of `run_inference --output_format=jsonl`.

  Args:
    lines: The lines of the output.

  Returns:
    The captions of each image, the best first, by file name.
  """
  return {
      os.path.basename(image["file"]): [
          html_report.ReportCaption(caption["caption"], caption["probability"])
          for caption in image["captions"]
      ]
      for image in map(json.loads, lines)
  }


def read_perplexity(text: str) -> float:
  """Returns the perplexity from the output of `evaluate --once`.

  Args:
    text: The output.

  Returns:
    The perplexity.

  Raises:
    ValueError: If it is missing.
  """
  match = _PERPLEXITY_LINE.search(text)
  if not match:
    raise ValueError(f"No perplexity in the output of evaluate: {text!r}.")
  return float(match[1])


def figures(
    scenes: Sequence[shapes_world.Scene],
    captions: Mapping[str, Sequence[html_report.ReportCaption]],
    *,
    perplexity: float,
) -> dict[str, str]:
  """Scores captions against the true ones.

  Args:
    scenes: The held-out scenes.
    captions: The captions of each scene, the best first, by file name.
    perplexity: The model's perplexity on the true captions.

  Returns:
    The results as text, by name.

  Raises:
    ValueError: If the captions of a scene are missing.
  """
  missing = [s.file_name for s in scenes if not captions.get(s.file_name)]
  if missing:
    raise ValueError(
        f"Captions of {len(missing)} scenes are missing: {missing[0]}, ..."
    )
  tokens = caption_tokenizer.by_python
  corpus = coco_metrics.score(
      references={s.image_id: [*map(tokens, s.captions)] for s in scenes},
      candidates={
          s.image_id: tokens(captions[s.file_name][0].text) for s in scenes
      },
  ).corpus
  num_right = sum(_is_right(scene, captions) for scene in scenes)
  return {
      "described right": f"{num_right / len(scenes):.1%}",
      "held-out scenes": f"{num_right} of {len(scenes)}",
      "BLEU-4": f"{corpus['Bleu_4']:.3f}",
      "CIDEr": f"{corpus['CIDEr']:.2f}",
      "perplexity": f"{perplexity:.3f}",
  }


def write_report(
    report_dir: pathlib.Path,
    scenes: Sequence[shapes_world.Scene],
    captions: Mapping[str, Sequence[html_report.ReportCaption]],
    results: Mapping[str, str],
    *,
    image_dir: pathlib.Path,
) -> pathlib.Path:
  """Writes an HTML page of the scenes with their captions.

  Args:
    report_dir: The folder of the report.
    scenes: The held-out scenes.
    captions: The captions of each scene, the best first, by file name.
    results: The results of `figures`.
    image_dir: The folder of the pictures.

  Returns:
    The path of the page.
  """
  return html_report.write(
      report_dir,
      title="Scenes with pairs of objects never seen together",
      summary=(
          "Captions, with their probabilities, by the model that the im2txt"
          " quickstart has trained. The two objects of each picture were never"
          " together in a training picture. A caption is right if it equals one"
          " of the picture's five true captions word for word."
      ),
      figures=results,
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
    captions: Mapping[str, Sequence[html_report.ReportCaption]],
) -> bool:
  return captions[scene.file_name][0].text in scene.captions
