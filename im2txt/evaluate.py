r"""Evaluates a model by perplexity while it is trained, for TensorBoard.

    bazel-bin/im2txt/evaluate \
      --input_file_pattern="${MSCOCO_DIR}/val-?????-of-00004" \
      --checkpoint_dir="${MODEL_DIR}/train" \
      --eval_dir="${MODEL_DIR}/eval"

Looks for a new checkpoint every --eval_interval_secs, for ever or until none
came for --timeout_secs. With --once it evaluates the newest checkpoint, prints
the perplexity on stdout and ends.

With --caption_metrics --vocab_file="${MSCOCO_DIR}/word_counts.txt" it captions
each image as well, once, and scores the captions against those of the records.
TensorBoard then shows the scores and a few images with their captions, and
--eval_dir gets captions_val_results.json, for the COCO server and tools,
captions_val_scores.jsonl, with a line an image, and captions_val_summary.json.

With --keep_best=CIDEr the folder best in --checkpoint_dir has the best one yet;
with --stop_after=5 training stops after five evaluations without gain.

With --once --checkpoints="${MODEL_DIR}/train/model.ckpt-*,other/train" instead
of --checkpoint_dir it evaluates all these and prints one table. The names of
the files then have the checkpoint's after the split's.
"""

import os
import pathlib

from absl import app
from absl import flags

from im2txt import program

_INPUT_FILE_PATTERN = flags.DEFINE_string(
    "input_file_pattern",
    "",
    "Comma-separated patterns of TFRecord files with images and captions.",
)
_INPUT_FEATURE_PATTERN = flags.DEFINE_string(
    "input_feature_pattern",
    "",
    "Instead of --input_file_pattern: patterns of TFRecord files with features"
    " and captions, made by cache_image_features.",
)
_CHECKPOINT_DIR = flags.DEFINE_string(
    "checkpoint_dir", "", "The folder with the model's checkpoints."
)
_EVAL_DIR = flags.DEFINE_string("eval_dir", "", "Where to write event files.")
_EVAL_INTERVAL_SECS = flags.DEFINE_integer(
    "eval_interval_secs",
    600,
    "Seconds from one look for a new checkpoint to the next.",
    lower_bound=0,
)
_NUM_EVAL_EXAMPLES = flags.DEFINE_integer(
    "num_eval_examples",
    10132,
    "How many captions to evaluate, if there are so many.",
    lower_bound=1,
)
_MIN_GLOBAL_STEP = flags.DEFINE_integer(
    "min_global_step",
    5000,
    "Checkpoints of earlier steps are not evaluated.",
    lower_bound=0,
)
_ONCE = flags.DEFINE_boolean(
    "once", False, "Whether to evaluate the newest checkpoint and end."
)
_TIMEOUT_SECS = flags.DEFINE_integer(
    "timeout_secs",
    0,
    "End when no new checkpoint came for so many seconds; 0 means never.",
    lower_bound=0,
)
_CAPTION_METRICS = flags.DEFINE_boolean(
    "caption_metrics",
    False,
    "Whether to caption each image of the split too and to score the captions"
    " against those of the records: CIDEr, BLEU, ROUGE-L and, with Java,"
    " METEOR. Needs --vocab_file.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", "", "The word_counts.txt that the model was trained with."
)
_SPLIT = flags.DEFINE_string(
    "split",
    "",
    "The split's name in captions_<split>_results.json; by default what the"
    " records' names begin with, as val in val-00000-of-00004.",
)
_BEAM_SIZE = flags.DEFINE_integer(
    "beam_size", 3, "How many captions to search for.", lower_bound=1
)
_LENGTH_NORMALIZATION_FACTOR = flags.DEFINE_float(
    "length_normalization_factor",
    0.0,
    "If positive, captions are ranked by their log-probability over their"
    " length to this power: the greater, the longer the captions.",
)
_TRAINING_CAPTIONS = flags.DEFINE_string(
    "training_captions",
    "",
    "Captions file of the training set, in MSCOCO's form, to tell how many of"
    " the model's captions are new.",
)
_REPORT_DIR = flags.DEFINE_string(
    "report_dir",
    "",
    "Folder for a page to open in a browser: pictures, captions, scores. With"
    " --checkpoints, a folder in it for each.",
)
_KEEP_BEST = flags.DEFINE_enum(
    "keep_best",
    None,
    ["perplexity", "CIDEr"],
    "Keep the best checkpoint by this in a folder, its score in best.json.",
)
_BEST_DIR = flags.DEFINE_string(
    "best_dir",
    "",
    "The folder for --keep_best; by default the folder best in"
    " --checkpoint_dir.",
)
_STOP_AFTER = flags.DEFINE_integer(
    "stop_after",
    0,
    "With --keep_best, end after so many evaluations without gain, and tell"
    " train, by the file stop.json in --checkpoint_dir, to stop too; 0 means"
    " never.",
    lower_bound=0,
)
_RANKING = flags.DEFINE_boolean(
    "ranking",
    False,
    "With --once, whether to rank captions for images and images for captions"
    " by the likelihood that the model gives them: recall at 1, 5 and 10, and"
    " the median rank. 1,000 images with 5,000 captions take some hours on two"
    " cores.",
)
_RANKING_IMAGES = flags.DEFINE_integer(
    "ranking_images",
    1000,
    "How many of the first images to rank, with all their captions.",
    lower_bound=1,
)
_CHECKPOINTS = flags.DEFINE_string(
    "checkpoints",
    "",
    "With --once, instead of --checkpoint_dir: checkpoints, folders, whose"
    " newest one is taken, or patterns of checkpoints, separated by commas; all"
    " in one table.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's saved configuration, such as batch_size=64.",
)


def main(argv: list[str]) -> int | None:
  """Evaluates as the flags say."""
  del argv
  _check_flags()
  # Here, so that --help and wrong flags need not wait for TensorFlow.
  from im2txt import checkpoints
  from im2txt import evaluation_results

  if _CHECKPOINTS.value:
    evaluations = []
    made_for = None
    for name, path in checkpoints.find_all(_CHECKPOINTS.value).items():
      config = _config(path)
      if config != made_for:  # One model for all that are made alike.
        loop, made_for = _make_loop(config), config
      evaluations.append(loop.evaluate(path, name))
    print(evaluation_results.table(evaluations))
    print(evaluation_results.ranking_table(evaluations), end="")
    return 0
  loop = _make_loop(_config(_CHECKPOINT_DIR.value))
  if not _ONCE.value:
    loop.run(
        interval_secs=_EVAL_INTERVAL_SECS.value,
        timeout_secs=_TIMEOUT_SECS.value,
    )
    return 0
  evaluation = loop.run_once()
  if evaluation is None:
    raise ValueError(
        f"No checkpoint of step {_MIN_GLOBAL_STEP.value} (--min_global_step) or"
        f" later to evaluate in {_CHECKPOINT_DIR.value}."
    )
  for metric, value in evaluation.metrics().items():
    print(f"{metric} = {value:f}")
  print(evaluation_results.ranking_table([evaluation]), end="")
  return 0


def _config(path: str):
  """The model's configuration, of a checkpoint or a folder."""
  from im2txt import checkpoints
  from im2txt import configuration

  return configuration.apply_overrides(
      *checkpoints.load_config(path), _CONFIG_OVERRIDES.value
  )[0]


def _make_loop(config):
  """The `EvaluationLoop` of a model's configuration that the flags describe."""
  from im2txt import best_checkpoint
  from im2txt import caption_data
  from im2txt import caption_evaluation
  from im2txt import evaluation_loop
  from im2txt import ranking
  from im2txt.evaluation import html_report
  from im2txt.ops import inputs

  if _REPORT_DIR.value and not _CHECKPOINTS.value:
    html_report.check(pathlib.Path(_REPORT_DIR.value))

  patterns = _INPUT_FILE_PATTERN.value, _INPUT_FEATURE_PATTERN.value
  data = caption_data.CaptionData(
      files=inputs.input_files(*patterns),
      config=config,
      are_features=bool(patterns[1]),
  )
  loop = evaluation_loop.EvaluationLoop(
      data=data,
      checkpoint_dir=_CHECKPOINT_DIR.value,
      eval_dir=_EVAL_DIR.value,
      max_examples=_NUM_EVAL_EXAMPLES.value,
      min_global_step=_MIN_GLOBAL_STEP.value,
  )
  if _CAPTION_METRICS.value:
    loop.captions = caption_evaluation.make_evaluator(
        loop.model,
        data,
        vocab_file=_VOCAB_FILE.value,
        folder=_EVAL_DIR.value,
        split_name=_SPLIT.value,
        training_captions_file=_TRAINING_CAPTIONS.value,
        report_dir=_REPORT_DIR.value,
        beam_size=_BEAM_SIZE.value,
        length_normalization_factor=_LENGTH_NORMALIZATION_FACTOR.value,
    )
  if _KEEP_BEST.value:
    loop.best = best_checkpoint.BestCheckpoint(
        _BEST_DIR.value or os.path.join(_CHECKPOINT_DIR.value, "best"),
        _KEEP_BEST.value,
    )
    loop.stop_after = _STOP_AFTER.value
  if _RANKING.value:
    loop.ranker = ranking.Ranker(
        loop.model, data, max_images=_RANKING_IMAGES.value
    )
  return loop


def _check_flags() -> None:
  """Finds flags that are missing or don't go together."""
  patterns = _INPUT_FILE_PATTERN.value, _INPUT_FEATURE_PATTERN.value
  if not any(patterns):
    program.require(_INPUT_FILE_PATTERN)
  if all(patterns):
    raise app.UsageError(
        "Give either --input_file_pattern or --input_feature_pattern."
    )
  if not _CHECKPOINTS.value:
    program.require(_CHECKPOINT_DIR)
  elif _CHECKPOINT_DIR.value or _KEEP_BEST.value or not _ONCE.value:
    raise app.UsageError(
        "--checkpoints needs --once, and neither --checkpoint_dir nor"
        " --keep_best."
    )
  program.require(_EVAL_DIR)
  if _CAPTION_METRICS.value:
    program.require(_VOCAB_FILE)
  elif _KEEP_BEST.value == "CIDEr":
    raise app.UsageError("--keep_best=CIDEr needs --caption_metrics.")
  for flag, needed in (
      (_TRAINING_CAPTIONS, _CAPTION_METRICS),
      (_REPORT_DIR, _CAPTION_METRICS),
      (_REPORT_DIR, _INPUT_FILE_PATTERN),  # Features have no pictures.
      (_SPLIT, _CAPTION_METRICS),
      (_BEST_DIR, _KEEP_BEST),
      (_STOP_AFTER, _KEEP_BEST),
      (_RANKING, _ONCE),
  ):
    if flag.value and not needed.value:
      raise app.UsageError(f"--{flag.name} needs --{needed.name}.")


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
