r"""Evaluates a model by perplexity during training, for TensorBoard.

    bazel-bin/im2txt/evaluate \
      --input_file_pattern="${MSCOCO_DIR}/val-?????-of-00004" \
      --checkpoint_dir="${MODEL_DIR}/train" \
      --eval_dir="${MODEL_DIR}/eval"

Checks for a new checkpoint every --eval_interval_secs, forever or until there
was none for --timeout_secs. With --once, evaluates the newest checkpoint,
prints the perplexity to stdout and exits.

With --caption_metrics --vocab_file="${MSCOCO_DIR}/word_counts.txt", also
captions each image once and scores the captions against the reference captions
in the records. TensorBoard then shows the scores and sample images with their
captions. The following files are written to --eval_dir:

    captions_val_results.json   for the COCO server and tools
    captions_val_scores.jsonl   captions and scores, one line per image
    captions_val_summary.json   all corpus scores, and the settings

With --keep_best=CIDEr, keeps the best checkpoint so far in the folder best in
--checkpoint_dir. With --stop_after=5, also stops training after five
evaluations without improvement.

With --once --checkpoints="${MODEL_DIR}/train/model.ckpt-*,other/train" instead
of --checkpoint_dir, evaluates all matching checkpoints and prints one table.
The file names then contain the name of the checkpoint after that of the split.
"""

from absl import app
from absl import flags

from im2txt import common_flags
from im2txt import metric_flags
from im2txt import search_flags
from im2txt.runtime import program

flags.adopt_module_key_flags(metric_flags)
flags.adopt_module_key_flags(search_flags)

_INPUT_FILE_PATTERN = flags.DEFINE_string(
    "input_file_pattern",
    "",
    "Comma-separated patterns of TFRecord files with images and captions.",
)
_INPUT_FEATURE_PATTERN = flags.DEFINE_string(
    "input_feature_pattern",
    "",
    "Comma-separated patterns of TFRecord files with image features and"
    " captions, written by cache_image_features. Replaces"
    " --input_file_pattern.",
)
_ALLOW_MISSING_SHARDS = flags.DEFINE_flag(common_flags.allow_missing_shards())
_CHECKPOINT_DIR = flags.DEFINE_string(
    "checkpoint_dir", "", "Folder of the model's checkpoints."
)
_EVAL_DIR = flags.DEFINE_string(
    "eval_dir", "", "Folder for event files and results."
)
_EVAL_INTERVAL_SECS = flags.DEFINE_integer(
    "eval_interval_secs",
    600,
    "Interval between checks for a new checkpoint, in seconds.",
    lower_bound=0,
)
_NUM_EVAL_EXAMPLES = flags.DEFINE_integer(
    "num_eval_examples",
    10132,
    "Number of captions to compute the perplexity of, rounded up to whole"
    " batches; all captions if there are fewer.",
    lower_bound=1,
)
_MIN_GLOBAL_STEP = flags.DEFINE_integer(
    "min_global_step",
    5000,
    "Global step before which checkpoints are not evaluated.",
    lower_bound=0,
)
_ONCE = flags.DEFINE_boolean(
    "once", False, "Whether to evaluate the newest checkpoint and exit."
)
_TIMEOUT_SECS = flags.DEFINE_integer(
    "timeout_secs",
    0,
    "Time without a new checkpoint after which to exit, in seconds; 0 means"
    " never.",
    lower_bound=0,
)
_CAPTION_METRICS = flags.DEFINE_boolean(
    "caption_metrics",
    False,
    "Whether to also caption each image of the split and score the captions"
    " against the references in the records by CIDEr, BLEU, ROUGE-L and, with"
    " Java, METEOR. Needs --vocab_file.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", "", "Vocabulary file that the model was trained with."
)
_SPLIT = flags.DEFINE_string(
    "split",
    "",
    "Name of the split in captions_<split>_results.json. Defaults to the prefix"
    " of the record files' names, such as val for val-00000-of-00004.",
)
_TRAINING_CAPTIONS = flags.DEFINE_string(
    "training_captions",
    "",
    "Captions file of the training set, in MSCOCO's format, to compute the"
    " fraction of captions that do not occur in it.",
)
_REPORT_DIR = flags.DEFINE_string(
    "report_dir",
    "",
    "Folder for an HTML report of images, captions and scores. With"
    " --checkpoints, it gets one subfolder per checkpoint.",
)
_KEEP_BEST = flags.DEFINE_enum(
    "keep_best",
    None,
    ["perplexity", "CIDEr"],
    "Metric by which to keep the best checkpoint in --best_dir.",
)
_BEST_DIR = flags.DEFINE_string(
    "best_dir",
    "",
    "Folder for the best checkpoint and its score, best.json. Defaults to the"
    " folder best in --checkpoint_dir.",
)
_STOP_AFTER = flags.DEFINE_integer(
    "stop_after",
    0,
    "With --keep_best, number of evaluations without improvement, including"
    " those of earlier runs, after which to exit and to stop train by the file"
    " stop.json in --checkpoint_dir; 0 means never.",
    lower_bound=0,
)
_RANKING = flags.DEFINE_boolean(
    "ranking",
    False,
    "With --once, whether to also rank captions for images and images for"
    " captions by the model's likelihood, and print recall at 1, 5 and 10 and"
    " the median rank. 1,000 images with 5,000 captions take about an hour on"
    " two cores.",
)
_RANKING_IMAGES = flags.DEFINE_integer(
    "ranking_images",
    1000,
    "Maximal number of images to rank, with all their captions; the first"
    " ones are used.",
    lower_bound=1,
)
_CHECKPOINTS = flags.DEFINE_string(
    "checkpoints",
    "",
    "Comma-separated checkpoints, patterns of checkpoints, or folders, of which"
    " the newest checkpoint is used. Replaces --checkpoint_dir; needs --once.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's saved configuration, such as batch_size=64.",
)

_CAPTION_METRICS_FLAGS = (
    _SPLIT,
    _TRAINING_CAPTIONS,
    _REPORT_DIR,
    metric_flags.METRICS,
    metric_flags.TOKENIZER,
    *search_flags.HOLDERS,
)


def main(argv: list[str]) -> None:
  """Runs the evaluation configured by the flags."""
  del argv
  _check_flags()
  # Imported here, so that --help and flag errors do not wait for TensorFlow.
  program.import_tensorflow()
  from im2txt.evaluation import evaluation_loop
  from im2txt.evaluation import evaluation_run

  evaluations = evaluation_run.evaluate(
      evaluation_run.EvaluationSettings(
          input_file_pattern=_INPUT_FILE_PATTERN.value,
          input_feature_pattern=_INPUT_FEATURE_PATTERN.value,
          allow_missing_shards=_ALLOW_MISSING_SHARDS.value,
          checkpoint_dir=_CHECKPOINT_DIR.value,
          checkpoints=_CHECKPOINTS.value,
          eval_dir=_EVAL_DIR.value,
          eval_interval_secs=_EVAL_INTERVAL_SECS.value,
          num_eval_examples=_NUM_EVAL_EXAMPLES.value,
          min_global_step=_MIN_GLOBAL_STEP.value,
          once=_ONCE.value,
          timeout_secs=_TIMEOUT_SECS.value,
          caption_metrics=_CAPTION_METRICS.value,
          vocab_file=_VOCAB_FILE.value,
          split=_SPLIT.value,
          metrics=metric_flags.METRICS.value,
          tokenizer=metric_flags.TOKENIZER.value,
          training_captions=_TRAINING_CAPTIONS.value,
          report_dir=_REPORT_DIR.value,
          keep_best=_KEEP_BEST.value,
          best_dir=_BEST_DIR.value,
          stop_after=_STOP_AFTER.value,
          ranking=_RANKING.value,
          ranking_images=_RANKING_IMAGES.value,
          config_overrides=_CONFIG_OVERRIDES.value,
          search_options=search_flags.options(),
      )
  )
  if _CHECKPOINTS.value:
    print(evaluation_loop.table(evaluations))
  else:
    for evaluation in evaluations:
      for metric, value in evaluation.metrics().items():
        print(f"{metric} = {value:f}")
  print(evaluation_loop.ranking_table(evaluations), end="")


def _check_flags() -> None:
  """Raises a UsageError if flags are missing or conflict."""
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
        "--checkpoints needs --once, and cannot be combined with"
        " --checkpoint_dir or --keep_best."
    )
  program.require(_EVAL_DIR)
  if _CAPTION_METRICS.value:
    program.require(_VOCAB_FILE)
    metric_flags.check()
  if _KEEP_BEST.value == "CIDEr" and not (
      _CAPTION_METRICS.value and "CIDEr" in metric_flags.METRICS.value
  ):
    raise app.UsageError(
        "--keep_best=CIDEr needs --caption_metrics, and CIDEr in --metrics."
    )
  for flag, needed in (
      *((flag, _CAPTION_METRICS) for flag in _CAPTION_METRICS_FLAGS),
      (_REPORT_DIR, _INPUT_FILE_PATTERN),  # Features have no images to show.
      (_BEST_DIR, _KEEP_BEST),
      (_STOP_AFTER, _KEEP_BEST),
      (_RANKING, _ONCE),
  ):
    if flag.present and flag.value and not needed.value:
      raise app.UsageError(f"--{flag.name} needs --{needed.name}.")


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
