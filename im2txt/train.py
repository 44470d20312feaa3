r"""Trains the Show and Tell model.

First the decoder alone, with the encoder as ImageNet left it:

    bazel-bin/im2txt/train \
      --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
      --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
      --train_dir="${MODEL_DIR}/train" \
      --train_inception=false \
      --number_of_steps=1000000

Then everything, from where that stopped, with

      --train_inception=true --number_of_steps=3000000

or both in one run, with the first from features that cache_image_features made,
many times faster:

    bazel-bin/im2txt/train \
      --input_feature_pattern="${MSCOCO_DIR}/features/train-*" \
      --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
      --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
      --train_dir="${MODEL_DIR}/train" \
      --train_inception_after_steps=1000000 \
      --number_of_steps=3000000

And then for a better CIDEr, from a copy of the best checkpoint in a --train_dir
of its own (see g3doc/self_critical.md), with

      --objective=self_critical --vocab_file="${MSCOCO_DIR}/word_counts.txt"

A run continues from the newest checkpoint in --train_dir. It stops, with a
checkpoint written, on Ctrl-C or SIGTERM, and its exit status is then 130 or
143. The configuration is kept in --train_dir and used again when the run is
continued. One run at a time writes to a --train_dir.

On several GPUs of one machine:

      --distribution=mirrored

On several machines, with the same command on each and TF_CONFIG or Slurm to say
which is which (g3doc/distributed.md):

      --distribution=multi_worker

batch_size is that of a step, whatever the number of devices. Only the chief
writes and logs; all read --train_dir, which they share.
"""

from absl import app
from absl import flags

from im2txt import common_flags
from im2txt import configuration
from im2txt import presets
from im2txt.runtime import program

__doc__ = f"{__doc__}\nPresets, for --preset:\n\n{presets.describe()}"

_INPUT_FILE_PATTERN = flags.DEFINE_string(
    "input_file_pattern",
    "",
    "Comma-separated patterns of TFRecord files with images and captions, made"
    " by build_mscoco_data.",
)
_INPUT_FEATURE_PATTERN = flags.DEFINE_string(
    "input_feature_pattern",
    "",
    "Instead of --input_file_pattern: patterns of TFRecord files with features"
    " and captions, made by cache_image_features. Many times faster; not with"
    " --train_inception. With --train_inception_after_steps, in addition to"
    " --input_file_pattern: for the steps before.",
)
_ALLOW_MISSING_SHARDS = flags.DEFINE_flag(common_flags.allow_missing_shards())
_INCEPTION_CHECKPOINT_FILE = flags.DEFINE_string(
    "inception_checkpoint_file",
    "",
    "Checkpoint of Inception v3 to start from; or a .h5 or .keras file of"
    " Keras' InceptionV3; or the word keras, for Keras' ImageNet weights. Used"
    " only if --train_dir has no checkpoint yet; the encoder starts at random"
    " if neither is there.",
)
_OBJECTIVE = flags.DEFINE_enum(
    "objective",
    "likelihood",
    ["likelihood", "self_critical"],
    "What to train for: the likelihood of the captions, or, from a model that"
    " was trained for it, the CIDEr of what the model says, by self-critical"
    " sequence training. That needs --vocab_file, and optimizer=adam among"
    " --config_overrides.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "The word_counts.txt made with the records; for --objective=self_critical.",
)
_TRAIN_DIR = flags.DEFINE_string(
    "train_dir", "", "Where checkpoints and events are written and looked for."
)
_TRAIN_INCEPTION = flags.DEFINE_boolean(
    "train_inception", False, "Whether to train the encoder too."
)
_TRAIN_INCEPTION_AFTER_STEPS = flags.DEFINE_integer(
    "train_inception_after_steps",
    None,
    "Instead of --train_inception: the global step from which on the encoder is"
    " trained too. The same command continues a run in either phase.",
    lower_bound=1,
)
_NUMBER_OF_STEPS = flags.DEFINE_integer(
    "number_of_steps",
    1000000,
    "The global step to reach, the steps of earlier runs included.",
    lower_bound=0,
)
_LOG_EVERY_N_STEPS = flags.DEFINE_integer(
    "log_every_n_steps", 1, "How often to log the loss.", lower_bound=1
)
_MIXED_PRECISION = flags.DEFINE_enum(
    "mixed_precision",
    "float32",
    ["float32", "bfloat16", "float16"],
    "What convolutions and matrix products compute in. bfloat16 takes little"
    " more than half the time and memory on processors with avx512_bf16 or AMX;"
    " float16, with the loss scaled, is for GPUs. Variables, statistics and"
    " losses are float32 in any case.",
)
_JIT_COMPILE = flags.DEFINE_flag(
    common_flags.automatic_flag(
        "jit_compile",
        "Whether XLA compiles the step, which makes it faster on GPUs. It takes"
        " a while for each of a few lengths of captions, as the log says. auto:"
        " on a GPU, with --distribution=off, --mixed_precision=float32 and the"
        " likelihood as objective; true is refused with anything else.",
    )
)
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution",
    "off",
    ["off", "mirrored", "multi_worker", "parameter_server"],
    "off: one device. mirrored: all GPUs of this machine. multi_worker: several"
    " processes that step together. parameter_server: workers that step each on"
    " their own, on cached features. The last two find their processes in"
    " TF_CONFIG or Slurm's variables; see g3doc/distributed.md.",
)
_SHARD_BY_RECORD = flags.DEFINE_boolean(
    "shard_by_record",
    False,
    "With several processes: whether each reads all files, so that they train"
    " on the very batches of a single process. Otherwise each has files of its"
    " own if there are enough.",
)
_CLUSTER_TIMEOUT_SECS = flags.DEFINE_float(
    "cluster_timeout_secs",
    300.0,
    "How long processes wait for one another, at the start and, with parameter"
    " servers, for a step.",
    lower_bound=1.0,
)
_SLURM_PORT = flags.DEFINE_integer(
    "slurm_port",
    8888,
    "Under Slurm, the port of a machine's first process; the others' follow.",
)
_SCHEDULED_SAMPLING = flags.DEFINE_enum(
    "scheduled_sampling",
    None,
    list(configuration.SAMPLING_SCHEDULES),
    "How the share of words that are drawn from the model's own predictions,"
    " instead of taken from the caption, grows with the steps; the fields"
    " scheduled_sampling_* of the configuration say how fast. By default as the"
    " run began; at first off.",
)
_PRESET = flags.DEFINE_enum(
    "preset",
    None,
    list(presets.PRESETS),
    "The configuration to begin a run with, in place of the released one."
    " --config_overrides go above it. Where --train_dir has a configuration"
    " already, that must be the same.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the configuration, such as batch_size=64,optimizer=adam,"
    "initial_learning_rate=0.001. A wrong name lists all the fields.",
)


def main(argv: list[str]) -> int:
  """Trains as the flags say."""
  del argv
  _check_flags()
  # Here, so that --help and wrong flags need not wait for TensorFlow.
  program.import_tensorflow()
  from im2txt.training import training_run

  return training_run.train(
      training_run.Run(
          train_dir=_TRAIN_DIR.value,
          input_file_pattern=_INPUT_FILE_PATTERN.value,
          input_feature_pattern=_INPUT_FEATURE_PATTERN.value,
          allow_missing_shards=_ALLOW_MISSING_SHARDS.value,
          inception_checkpoint_file=_INCEPTION_CHECKPOINT_FILE.value,
          train_inception=_TRAIN_INCEPTION.value,
          train_inception_after_steps=_TRAIN_INCEPTION_AFTER_STEPS.value,
          number_of_steps=_NUMBER_OF_STEPS.value,
          log_every_n_steps=_LOG_EVERY_N_STEPS.value,
          objective=_OBJECTIVE.value,
          vocab_file=_VOCAB_FILE.value,
          preset=_PRESET.value,
          config_overrides=_CONFIG_OVERRIDES.value,
          scheduled_sampling=_SCHEDULED_SAMPLING.value,
          mixed_precision=_MIXED_PRECISION.value,
          jit_compile=_JIT_COMPILE.value,
          distribution=_DISTRIBUTION.value,
          shard_by_record=_SHARD_BY_RECORD.value,
          cluster_timeout_secs=_CLUSTER_TIMEOUT_SECS.value,
          slurm_port=_SLURM_PORT.value,
      )
  )


def _check_flags() -> None:
  """Finds flags that are missing or don't go together."""
  program.require(_TRAIN_DIR)
  if _JIT_COMPILE.value == "true" and _MIXED_PRECISION.value != "float32":
    raise app.UsageError("--jit_compile needs --mixed_precision=float32.")
  if _OBJECTIVE.value == "self_critical":
    program.require(_VOCAB_FILE)
    if _TRAIN_INCEPTION_AFTER_STEPS.value is not None:
      raise app.UsageError(
          "--objective=self_critical takes --train_inception, not"
          " --train_inception_after_steps."
      )
    if _DISTRIBUTION.value != "off" or _JIT_COMPILE.value == "true":
      raise app.UsageError(
          "--objective=self_critical runs on one device, without --jit_compile."
      )
  has_images = bool(_INPUT_FILE_PATTERN.value)
  has_features = bool(_INPUT_FEATURE_PATTERN.value)
  if _TRAIN_INCEPTION_AFTER_STEPS.value is not None:
    if _TRAIN_INCEPTION.value:
      raise app.UsageError(
          "Give either --train_inception or --train_inception_after_steps."
      )
    if not has_images:
      raise app.UsageError(
          "--train_inception_after_steps needs --input_file_pattern."
      )
  elif has_images == has_features:
    raise app.UsageError(
        "Give either --input_file_pattern or --input_feature_pattern."
    )
  elif has_features and _TRAIN_INCEPTION.value:
    raise app.UsageError("--train_inception needs --input_file_pattern.")


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
