r"""Trains the Show and Tell model.

Phase 1 trains the decoder only, with the encoder as pretrained on ImageNet:

    bazel-bin/im2txt/train \
      --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
      --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
      --train_dir="${MODEL_DIR}/train" \
      --train_inception=false \
      --number_of_steps=1000000

Phase 2 continues from there and trains the encoder too. Run the same command
with

      --train_inception=true --number_of_steps=3000000

Both phases can be one run. Phase 1 is many times faster with features written
by cache_image_features:

    bazel-bin/im2txt/train \
      --input_feature_pattern="${MSCOCO_DIR}/features/train-*" \
      --input_file_pattern="${MSCOCO_DIR}/train-?????-of-00256" \
      --inception_checkpoint_file="${INCEPTION_DIR}/inception_v3.ckpt" \
      --train_dir="${MODEL_DIR}/train" \
      --train_inception_after_steps=1000000 \
      --number_of_steps=3000000

Self-critical training then improves CIDEr. Copy the best checkpoint to a new
--train_dir (see g3doc/self_critical.md), and train with

      --objective=self_critical --vocab_file="${MSCOCO_DIR}/word_counts.txt"

A run resumes from the newest checkpoint in --train_dir, with the configuration
saved there. On Ctrl-C or SIGTERM, it saves a checkpoint and exits with status
130 or 143. Only one run at a time can write to a --train_dir.

On several GPUs of one machine:

      --distribution=mirrored

On several machines, run the same command on each; TF_CONFIG or Slurm's
variables describe the cluster (see g3doc/distributed.md):

      --distribution=multi_worker

batch_size is the size of the global batch, for any number of devices. Only the
chief writes files and logs. All processes read --train_dir, which they share.
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
    "Comma-separated patterns of TFRecord files with images and captions,"
    " written by build_mscoco_data or build_caption_data.",
)
_INPUT_FEATURE_PATTERN = flags.DEFINE_string(
    "input_feature_pattern",
    "",
    "Comma-separated patterns of TFRecord files with image features and"
    " captions, written by cache_image_features. Replaces --input_file_pattern"
    " and makes training many times faster, but cannot be combined with"
    " --train_inception. With --train_inception_after_steps, give both: the"
    " features are used for the steps before the encoder is trained.",
)
_ALLOW_MISSING_SHARDS = flags.DEFINE_flag(common_flags.allow_missing_shards())
_INCEPTION_CHECKPOINT_FILE = flags.DEFINE_string(
    "inception_checkpoint_file",
    "",
    "Initial weights of the encoder: a checkpoint of Inception v3, a .h5 or"
    " .keras file of Keras' InceptionV3, or the word keras for Keras' ImageNet"
    " weights. Used only if --train_dir has no checkpoint yet. Without either,"
    " the encoder is initialized randomly.",
)
_OBJECTIVE = flags.DEFINE_enum(
    "objective",
    "likelihood",
    ["likelihood", "self_critical"],
    "Training objective. likelihood: the likelihood of the reference captions."
    " self_critical: the CIDEr of captions sampled from the model, by"
    " self-critical sequence training of a model trained with likelihood. It"
    " needs --vocab_file, and --config_overrides=optimizer=adam.",
)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file",
    "",
    "Vocabulary file of the records, word_counts.txt. Needed for"
    " --objective=self_critical.",
)
_TRAIN_DIR = flags.DEFINE_string(
    "train_dir",
    "",
    "Folder for checkpoints, the configuration and event files. A run resumes"
    " from the newest checkpoint in it.",
)
_TRAIN_INCEPTION = flags.DEFINE_boolean(
    "train_inception", False, "Whether to train the encoder too."
)
_TRAIN_INCEPTION_AFTER_STEPS = flags.DEFINE_integer(
    "train_inception_after_steps",
    None,
    "Global step from which on the encoder is trained too. Replaces"
    " --train_inception. The same command resumes a run in either phase.",
    lower_bound=1,
)
_NUMBER_OF_STEPS = flags.DEFINE_integer(
    "number_of_steps",
    1000000,
    "Global step at which to stop, including the steps of earlier runs.",
    lower_bound=0,
)
_LOG_EVERY_N_STEPS = flags.DEFINE_integer(
    "log_every_n_steps",
    1,
    "Number of steps between logs of the loss.",
    lower_bound=1,
)
_MIXED_PRECISION = flags.DEFINE_enum(
    "mixed_precision",
    "float32",
    ["float32", "bfloat16", "float16"],
    "Type in which convolutions and matrix products are computed. bfloat16"
    " takes a little more than half the time and memory on CPUs with AMX or"
    " AMD's avx512_bf16, and is for GPUs from Ampere on. float16, with loss"
    " scaling, is for GPUs. Variables, statistics and losses are always"
    " float32.",
)
_JIT_COMPILE = flags.DEFINE_flag(
    common_flags.automatic_flag(
        "jit_compile",
        "Whether to compile the training step with XLA, which makes it faster"
        " on GPUs. Compilation takes a while for each of a few caption lengths,"
        " as the log shows. auto: on a GPU, with --distribution=off. true is an"
        " error with other values of --distribution.",
    )
)
_DISTRIBUTION = flags.DEFINE_enum(
    "distribution",
    "off",
    ["off", "mirrored", "multi_worker", "parameter_server"],
    "off: one device. mirrored: all GPUs of this machine. multi_worker: several"
    " processes with synchronous steps. parameter_server: workers with"
    " asynchronous steps, on cached features. The last two read the cluster"
    " from TF_CONFIG or Slurm's variables; see g3doc/distributed.md.",
)
_SHARD_BY_RECORD = flags.DEFINE_boolean(
    "shard_by_record",
    False,
    "With several processes, whether each process reads all files, so that"
    " global batches are the same as with one process. Otherwise, each process"
    " reads its own files if there are enough.",
)
_CLUSTER_TIMEOUT_SECS = flags.DEFINE_float(
    "cluster_timeout_secs",
    300.0,
    "Time that processes wait for one another at the start and, with parameter"
    " servers, for a step, in seconds.",
    lower_bound=1.0,
)
_SLURM_PORT = flags.DEFINE_integer(
    "slurm_port",
    8888,
    "With Slurm, port of the first process on each machine. Its other processes"
    " use the ports that follow.",
)
_SCHEDULED_SAMPLING = flags.DEFINE_enum(
    "scheduled_sampling",
    None,
    list(configuration.SAMPLING_SCHEDULES),
    "Schedule by which the share of input words that are sampled from the"
    " model's predictions, instead of taken from the caption, grows with the"
    " steps. The configuration fields scheduled_sampling_* set its parameters."
    " Defaults to the schedule in the configuration.",
)
_PRESET = flags.DEFINE_enum(
    "preset",
    None,
    list(presets.PRESETS),
    "Named configuration of a new run, instead of the released one."
    " --config_overrides take precedence over it. The configuration of a"
    " resumed run must agree with it.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the configuration, such as batch_size=64,optimizer=adam,"
    "initial_learning_rate=0.001. The error for an unknown field lists all"
    " fields.",
)


def main(argv: list[str]) -> int:
  """Runs the training configured by the flags."""
  del argv
  _check_flags()
  # Imported here, so that --help and flag errors do not wait for TensorFlow.
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
  """Raises a UsageError if flags are missing or conflict."""
  program.require(_TRAIN_DIR)
  if _JIT_COMPILE.value == "true" and _DISTRIBUTION.value != "off":
    raise app.UsageError("--jit_compile needs --distribution=off.")
  if _OBJECTIVE.value == "self_critical":
    program.require(_VOCAB_FILE)
    if _TRAIN_INCEPTION_AFTER_STEPS.value is not None:
      raise app.UsageError(
          "--objective=self_critical cannot be combined with"
          " --train_inception_after_steps; use --train_inception."
      )
    if _DISTRIBUTION.value != "off":
      raise app.UsageError(
          "--objective=self_critical cannot be combined with --distribution."
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
