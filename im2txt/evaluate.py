r"""Evaluates a model by perplexity while it is trained, for TensorBoard.

    bazel-bin/im2txt/evaluate \
      --input_file_pattern="${MSCOCO_DIR}/val-?????-of-00004" \
      --checkpoint_dir="${MODEL_DIR}/train" \
      --eval_dir="${MODEL_DIR}/eval"

Looks for a new checkpoint every --eval_interval_secs, for ever or until none
came for --timeout_secs. With --once it evaluates the newest checkpoint, prints
the perplexity on stdout and ends.
"""

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
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's saved configuration, such as batch_size=64.",
)


def main(argv: list[str]) -> int | None:
  """Evaluates as the flags say."""
  del argv
  patterns = _INPUT_FILE_PATTERN.value, _INPUT_FEATURE_PATTERN.value
  if not any(patterns):
    program.require(_INPUT_FILE_PATTERN)
  if all(patterns):
    raise app.UsageError(
        "Give either --input_file_pattern or --input_feature_pattern."
    )
  program.require(_CHECKPOINT_DIR, _EVAL_DIR)
  # Here, so that --help and wrong flags need not wait for TensorFlow.
  from im2txt import caption_data
  from im2txt import checkpoints
  from im2txt import configuration
  from im2txt import evaluation_loop
  from im2txt.ops import inputs

  files = inputs.input_files(patterns[0] or patterns[1])
  config, _ = configuration.apply_overrides(
      *checkpoints.load_config(_CHECKPOINT_DIR.value), _CONFIG_OVERRIDES.value
  )
  loop = evaluation_loop.EvaluationLoop(
      data=caption_data.CaptionData(
          files=files, config=config, are_features=bool(patterns[1])
      ),
      checkpoint_dir=_CHECKPOINT_DIR.value,
      eval_dir=_EVAL_DIR.value,
      max_examples=_NUM_EVAL_EXAMPLES.value,
      min_global_step=_MIN_GLOBAL_STEP.value,
  )
  if not _ONCE.value:
    loop.run(
        interval_secs=_EVAL_INTERVAL_SECS.value,
        timeout_secs=_TIMEOUT_SECS.value,
    )
    return 0
  perplexity = loop.run_once()
  if perplexity is None:
    raise ValueError(
        f"No checkpoint of step {_MIN_GLOBAL_STEP.value} (--min_global_step) or"
        f" later to evaluate in {_CHECKPOINT_DIR.value}."
    )
  print(f"Perplexity = {perplexity:f}")
  return 0


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
