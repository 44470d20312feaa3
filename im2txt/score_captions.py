r"""Scores captions against reference captions.

    bazel-bin/im2txt/score_captions captions_val.json captions_val_results.json

reads the references from a captions file in MSCOCO's format, and the captions
from a results file in the format of the COCO tools and server,

    [{"image_id": 139, "caption": "a woman stands in a kitchen ."}, ...]

and prints BLEU-1 to BLEU-4, METEOR, ROUGE-L and CIDEr as computed by the COCO
tools, the number of distinct captions and words, and the mean length of the
captions. The table has one row per results file:

    bazel-bin/im2txt/score_captions captions_val.json ours.json theirs.json \
      --training_captions=captions_train.json \
      --output_json=scores.json --per_image_scores=scores.jsonl

--training_captions adds the fraction of captions that occur in the training
set. --n_best accepts several captions per image, best first: the first one is
scored, and the "oracle CIDEr" is the mean over images of the highest CIDEr,
which a perfect choice would reach.

--report_dir creates an HTML report to open in a browser, which shows the images
with captions, references and scores, and can be searched and sorted:

    bazel-bin/im2txt/score_captions captions_val.json ours.json \
      --image_dir=val2014 --report_dir=report

METEOR and the tokenizer of the COCO tools need Java ("apt install
default-jre-headless"). Without Java, METEOR is left out and captions are
tokenized in Python, as notes below the table tell; the other scores hardly
differ. Compare scores only if they use the same tokenizer.
"""

from collections.abc import Mapping
from collections.abc import Sequence
import math
from pathlib import Path
import sys
from typing import Any

from absl import app
from absl import flags
from absl import logging

from im2txt import metric_flags
from im2txt.data import caption_sources
from im2txt.evaluation import coco_results
from im2txt.evaluation import comparison
from im2txt.evaluation import scores_report
from im2txt.report import html_report
from im2txt.runtime import atomic_files
from im2txt.runtime import program
from im2txt.runtime import progress

flags.adopt_module_key_flags(metric_flags)

_TRAINING_CAPTIONS = flags.DEFINE_string(
    "training_captions",
    None,
    "Captions file of the training set, to compute the fraction of captions"
    " that occur in it.",
)
_N_BEST = flags.DEFINE_boolean(
    "n_best", False, "Whether an image may have several captions, best first."
)
_ALLOW_MISSING = flags.DEFINE_boolean(
    "allow_missing",
    False,
    "Whether to ignore images without captions or without references. CIDEr"
    " then weights words by the references of the scored images only.",
)
_OUTPUT_JSON = flags.DEFINE_string(
    "output_json", None, "JSON file to write, with all scores and settings."
)
_PER_IMAGE_SCORES = flags.DEFINE_string(
    "per_image_scores",
    None,
    "JSON lines file to write, with one line per image and results file.",
)
_REPORT_DIR = flags.DEFINE_string(
    "report_dir",
    None,
    "Folder to create for an HTML report of images and captions. Needs"
    " --image_dir and a single results file.",
)
_IMAGE_DIR = flags.DEFINE_string(
    "image_dir", None, "Folder of the images that the references name."
)


def main(argv: list[str]) -> None:
  """Scores the results files given as arguments."""
  if len(argv) < 3:
    raise app.UsageError(
        "Give at least two arguments: the captions file with the references,"
        " and one or more results files."
    )
  _check_flags(argv[2:])
  images = _load_images(argv[1])
  references = {image.image_id: image.captions for image in images}
  systems = {path: _load_results(path, references) for path in argv[2:]}
  if "SPICE" in metric_flags.METRICS.value:
    logging.info("SPICE downloads about 400 MB at its first use.")
  scores = comparison.compare(
      {i: captions for i, captions in references.items() if captions},
      systems,
      training_captions=_load_training_captions(),
      scorers=metric_flags.METRICS.value,
      tokenizer=metric_flags.TOKENIZER.value,
  )
  print(comparison.table(scores))
  print(f"\nTokenizer: {scores.tokenizer}.")
  for path, captions in systems.items():
    if len(captions) < len(references):
      print(f"{path}: {len(references) - len(captions)} images left out.")
  for note in scores.notes:
    print(note)
  if _OUTPUT_JSON.value:
    settings = {"references": argv[1], **_settings()}
    comparison.write_json(_OUTPUT_JSON.value, scores, settings)
  if _PER_IMAGE_SCORES.value:
    comparison.write_per_image(_PER_IMAGE_SCORES.value, scores, systems)
  if _REPORT_DIR.value:
    _write_report(_REPORT_DIR.value, scores, systems[argv[2]], images)


def _check_flags(results: list[str]) -> None:
  """Checks the flags and output files before minutes of scoring."""
  metric_flags.check()
  for path in results:
    if results.count(path) > 1:
      raise app.UsageError(
          f"The results file {path!r} is given twice. Give it once."
      )
  if _REPORT_DIR.value:
    program.require(_IMAGE_DIR)
    if len(results) > 1:
      raise app.UsageError("--report_dir needs a single results file.")
    html_report.check(Path(_REPORT_DIR.value))
  if _IMAGE_DIR.value and not Path(_IMAGE_DIR.value).is_dir():
    raise FileNotFoundError(
        f"--image_dir is not a folder: {_IMAGE_DIR.value!r}."
    )
  for output in filter(None, (_OUTPUT_JSON.value, _PER_IMAGE_SCORES.value)):
    if not Path(output).parent.is_dir():
      raise FileNotFoundError(
          f"The folder of the file {output!r} does not exist."
      )
    atomic_files.check(output)


def _load_images(path: str) -> list[caption_sources.CaptionedImage]:
  try:
    images = caption_sources.load_captions(path, _IMAGE_DIR.value)
  except ValueError as error:
    raise ValueError(
        f"{error} Give the captions file first, then the results files."
    ) from None
  # Treats images that have only blank references as images without references.
  images = [
      image
      if any(map(str.strip, image.captions))
      else image._replace(captions=[])
      for image in images
  ]
  missing = [image.image_id for image in images if not image.captions]
  if missing and not _ALLOW_MISSING.value:
    raise ValueError(
        f"{path} has no captions of {len(missing)} of its {len(images)} images,"
        f" such as {missing[0]}. Use --allow_missing to score the others."
    )
  return images


def _load_results(
    path: str, references: Mapping[int, list[str]]
) -> dict[int, list[str]]:
  captions = coco_results.read(
      path,
      references,
      allow_missing=_ALLOW_MISSING.value,
      n_best=_N_BEST.value,
  )
  scored = {i: texts for i, texts in captions.items() if references[i]}
  if not scored:
    raise ValueError(f"None of the images in {path} has references.")
  return scored


def _load_training_captions() -> list[str] | None:
  if not _TRAINING_CAPTIONS.value:
    return None
  images = caption_sources.load_captions(_TRAINING_CAPTIONS.value, None)
  return [caption for image in images for caption in image.captions]


def _settings() -> dict[str, Any]:
  """Returns the values of the flags that affect the scores, by name."""
  holders = (
      _TRAINING_CAPTIONS,
      metric_flags.METRICS,
      metric_flags.TOKENIZER,
      _N_BEST,
      _ALLOW_MISSING,
  )
  return {holder.name: holder.value for holder in holders}


def _write_report(
    report_dir: str,
    scores: comparison.Comparison,
    captions: comparison.Captions,
    images: Sequence[caption_sources.CaptionedImage],
) -> None:
  """Writes the HTML report of the single results file."""
  ((results, system),) = scores.systems.items()
  with progress.bar("Copying images", len(captions)) as bar:
    page = scores_report.write(
        Path(report_dir),
        title=Path(results).name,
        summary=" ".join(
            [
                f"Tokenizer: {scores.tokenizer}.",
                *scores.notes,
            ]
        ),
        scores=system,
        captions={
            i: [html_report.ReportCaption(text, math.nan) for text in texts]
            for i, texts in captions.items()
        },
        images=images,
        progress=bar.update,
    )
  print(f"Wrote {page}")


def run() -> None:
  """Runs the program."""
  program.run(main, positional=sys.maxsize)


if __name__ == "__main__":
  run()
