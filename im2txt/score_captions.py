r"""Scores captions against what people said of the same images.

    bazel-bin/im2txt/score_captions captions_val.json captions_val_results.json

takes the references from a captions file of MSCOCO's form, and the captions
from a results file as the COCO tools and server take it,

    [{"image_id": 139, "caption": "a woman stands in a kitchen ."}, ...]

and prints BLEU-1 to BLEU-4, METEOR, ROUGE-L and CIDEr as the COCO tools compute
them, how many different captions and words there are, and how long captions
are. More results files, of whatever systems, make more rows of the table:

    bazel-bin/im2txt/score_captions captions_val.json ours.json theirs.json \
      --training_captions=captions_train.json \
      --output_json=scores.json --per_image_scores=scores.jsonl

--training_captions tells how many captions are new. --n_best takes files with
several captions of an image, best first: the first is scored, and the "oracle
CIDEr" is the mean of each image's best, which a perfect choice would reach.

--report_dir makes a folder with a page to open in a browser, on which each
picture has its captions, references and scores, to be searched and sorted:

    bazel-bin/im2txt/score_captions captions_val.json ours.json \
      --image_dir=val2014 --report_dir=report

METEOR and the COCO tools' own way of splitting captions into words need Java
("apt install default-jre-headless"). Without it METEOR is left out and rules of
Python split the captions, which the lines below the table say; scores differ by
next to nothing then. Compare scores only if their tokenizer is the same.
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
from im2txt.data import captions_json
from im2txt.evaluation import coco_results
from im2txt.evaluation import comparison
from im2txt.evaluation import scores_report
from im2txt.report import html_report
from im2txt.runtime import program
from im2txt.runtime import progress
from im2txt.runtime import whole_file

flags.adopt_module_key_flags(metric_flags)

_TRAINING_CAPTIONS = flags.DEFINE_string(
    "training_captions",
    None,
    "Captions file of the training set, to tell how many captions occur there.",
)
_N_BEST = flags.DEFINE_boolean(
    "n_best", False, "Whether images may have several captions, best first."
)
_ALLOW_MISSING = flags.DEFINE_boolean(
    "allow_missing",
    False,
    "Whether to score the images that have both captions and references when"
    " others lack them. CIDEr then weighs words by those images' references.",
)
_OUTPUT_JSON = flags.DEFINE_string(
    "output_json", None, "File to write with all figures and settings, in JSON."
)
_PER_IMAGE_SCORES = flags.DEFINE_string(
    "per_image_scores",
    None,
    "File to write with a line of JSON for each image of each results file.",
)
_REPORT_DIR = flags.DEFINE_string(
    "report_dir",
    None,
    "Folder to make, with a page that shows the pictures with the captions of"
    " the one results file. Needs --image_dir.",
)
_IMAGE_DIR = flags.DEFINE_string(
    "image_dir", None, "Folder with the pictures that the references name."
)


def main(argv: list[str]) -> None:
  """Scores the results files of the arguments."""
  if len(argv) < 3:
    raise app.UsageError(
        "Two arguments or more are required: the captions file with the"
        " references, and results files."
    )
  _check_flags(argv[2:])
  images = _load_images(argv[1])
  references = {image.image_id: image.captions for image in images}
  systems = {path: _load_results(path, references) for path in argv[2:]}
  if "SPICE" in metric_flags.METRICS.value:
    logging.info("SPICE downloads some 400 MB when it is first used.")
  found = comparison.compare(
      {i: captions for i, captions in references.items() if captions},
      systems,
      training_captions=_load_training_captions(),
      scorers=metric_flags.METRICS.value,
      tokenizer=metric_flags.TOKENIZER.value,
  )
  print(comparison.table(found))
  print(f"\nTokenizer: {found.tokenizer}.")
  for path, captions in systems.items():
    if len(captions) < len(references):
      print(f"{path}: {len(references) - len(captions)} images left out.")
  for note in found.notes:
    print(note)
  if _OUTPUT_JSON.value:
    settings = {"references": argv[1], **_settings()}
    comparison.write_json(_OUTPUT_JSON.value, found, settings)
  if _PER_IMAGE_SCORES.value:
    comparison.write_per_image(_PER_IMAGE_SCORES.value, found, systems)
  if _REPORT_DIR.value:
    _write_report(_REPORT_DIR.value, found, systems[argv[2]], images)


def _check_flags(results: list[str]) -> None:
  """Finds what would go wrong after minutes of scoring."""
  metric_flags.check()
  for path in results:
    if results.count(path) > 1:
      raise app.UsageError(f"The results file {path!r} is given twice.")
  if _REPORT_DIR.value:
    program.require(_IMAGE_DIR)
    if len(results) > 1:
      raise app.UsageError("--report_dir shows a single results file.")
    html_report.check(Path(_REPORT_DIR.value))
  if _IMAGE_DIR.value and not Path(_IMAGE_DIR.value).is_dir():
    raise FileNotFoundError(f"--image_dir is no folder: {_IMAGE_DIR.value!r}.")
  for output in filter(None, (_OUTPUT_JSON.value, _PER_IMAGE_SCORES.value)):
    if not Path(output).parent.is_dir():
      raise FileNotFoundError(f"There is no folder for the file {output!r}.")
    whole_file.check(output)


def _load_images(path: str) -> list[captions_json.CaptionedImage]:
  try:
    images = captions_json.load_captions(path, _IMAGE_DIR.value)
  except ValueError as error:
    raise ValueError(
        f"{error} The captions file comes first, results files after it."
    ) from None
  # With blank references alone, no caption could be right.
  images = [
      image
      if any(map(str.strip, image.captions))
      else image._replace(captions=[])
      for image in images
  ]
  bare = [image.image_id for image in images if not image.captions]
  if bare and not _ALLOW_MISSING.value:
    raise ValueError(
        f"{path} has no captions of {len(bare)} of its {len(images)} images,"
        f" such as {bare[0]}; with --allow_missing the others are scored."
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
  scored = {i: said for i, said in captions.items() if references[i]}
  if not scored:
    raise ValueError(f"None of the images of {path} has references.")
  return scored


def _load_training_captions() -> list[str] | None:
  if not _TRAINING_CAPTIONS.value:
    return None
  images = captions_json.load_captions(_TRAINING_CAPTIONS.value, None)
  return [caption for image in images for caption in image.captions]


def _settings() -> dict[str, Any]:
  """The flags on which the figures depend, by their names."""
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
    found: comparison.Comparison,
    captions: comparison.Captions,
    images: Sequence[captions_json.CaptionedImage],
) -> None:
  """Writes the HTML report of the only results file."""
  ((results, scores),) = found.systems.items()
  with progress.bar("Copying pictures", len(captions)) as bar:
    page = scores_report.write(
        Path(report_dir),
        title=Path(results).name,
        summary=" ".join([f"Tokenizer: {found.tokenizer}.", *found.notes]),
        scores=scores,
        captions={
            i: [html_report.Caption(text, math.nan) for text in said]
            for i, said in captions.items()
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
