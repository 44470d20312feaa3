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

METEOR and the COCO tools' own way of splitting captions into words need Java
("apt install default-jre-headless"). Without it METEOR is left out and rules of
Python split the captions, which the lines below the table say; scores differ by
next to nothing then. Compare scores only if their tokenizer is the same.
"""

from collections.abc import Mapping
from pathlib import Path
import sys

from absl import app
from absl import flags
from absl import logging

from im2txt import program
from im2txt.data import captions_json
from im2txt.evaluation import caption_metrics
from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_results
from im2txt.evaluation import comparison
from im2txt.evaluation import comparison_files

_METRICS = flags.DEFINE_list(
    "metrics",
    list(comparison.SCORERS),
    f"Some of {', '.join(caption_metrics.SCORERS)}, separated by commas. SPICE"
    " needs Java 8 and downloads some 400 MB when it is first used.",
)
_TOKENIZER = flags.DEFINE_enum(
    "tokenizer",
    "auto",
    caption_tokenizer.TOKENIZERS,
    "What splits captions into words: ptb as the COCO tools do, which needs"
    " Java; rules of Python; auto for ptb if that works.",
)
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


def main(argv: list[str]) -> None:
  """Scores the results files of the arguments."""
  if len(argv) < 3:
    raise app.UsageError(
        "Two arguments or more are required: the captions file with the"
        " references, and results files."
    )
  _check_flags(argv[2:])
  references = _load_references(argv[1])
  systems = {path: _load_results(path, references) for path in argv[2:]}
  if "SPICE" in _METRICS.value:
    logging.info("SPICE downloads some 400 MB when it is first used.")
  found = comparison.compare(
      {i: captions for i, captions in references.items() if captions},
      systems,
      training_captions=_load_training_captions(),
      scorers=_METRICS.value,
      tokenizer=_TOKENIZER.value,
  )
  if _OUTPUT_JSON.value:
    settings = {
        "references": argv[1],
        "training_captions": _TRAINING_CAPTIONS.value,
        "metrics": _METRICS.value,
        "tokenizer": _TOKENIZER.value,
        "n_best": _N_BEST.value,
        "allow_missing": _ALLOW_MISSING.value,
    }
    comparison_files.write_json(_OUTPUT_JSON.value, found, settings)
  if _PER_IMAGE_SCORES.value:
    comparison_files.write_per_image(_PER_IMAGE_SCORES.value, found, systems)
  print(comparison_files.table(found))
  print(f"\nTokenizer: {found.tokenizer}.")
  for path, captions in systems.items():
    if len(captions) < len(references):
      print(f"{path}: {len(references) - len(captions)} images left out.")
  for note in found.notes:
    print(note)


def _check_flags(results: list[str]) -> None:
  """Finds what would go wrong after minutes of scoring."""
  caption_metrics.check_scorers(_METRICS.value)
  for path in results:
    if results.count(path) > 1:
      raise app.UsageError(f"The results file {path!r} is given twice.")
  for output in (_OUTPUT_JSON.value, _PER_IMAGE_SCORES.value):
    if output and not Path(output).parent.is_dir():
      raise FileNotFoundError(f"There is no folder for the file {output!r}.")


def _load_references(path: str) -> dict[int, list[str]]:
  images = captions_json.load_captions(path, None)
  references = {image.image_id: image.captions for image in images}
  bare = [i for i, captions in references.items() if not captions]
  if bare and not _ALLOW_MISSING.value:
    raise ValueError(
        f"{path} has no captions of {len(bare)} of its {len(images)} images,"
        f" such as {bare[0]}; with --allow_missing the others are scored."
    )
  return references


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


def run() -> None:
  """Runs the program."""
  program.run(main, positional=sys.maxsize)


if __name__ == "__main__":
  run()
