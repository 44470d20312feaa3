r"""Converts an old checkpoint to the current variable names and file format.

    bazel-bin/im2txt/convert_checkpoint old/model.ckpt-2000000 new

writes new/model.ckpt-2000000.*, new/checkpoint and new/config.json. All
programs here, and the original's code on TensorFlow 1.2 or later, can read
them. The second argument is a folder without a checkpoint, or a path such as
new/im2txt.ckpt.

The programs here also read old checkpoints directly. Convert them for other
code, or to save the space of variables that captioning does not need.
"""

from absl import app
from absl import flags

from im2txt.runtime import program

_KEEP_SLOTS = flags.DEFINE_boolean(
    "keep_slots",
    False,
    "Whether to keep the optimizer slots of Momentum and Adam, with which"
    " training resumes.",
)

# Maximum number of dropped variables to print; the others are counted.
_MAX_PRINTED = 10


def main(argv: list[str]) -> None:
  """Converts the checkpoint that the arguments name."""
  if len(argv) != 3:
    raise app.UsageError(
        "Two arguments are required: the old checkpoint and the new folder."
    )
  # Imported here, so that --help and flag errors don't wait for TensorFlow.
  program.import_tensorflow()
  from im2txt.checkpointing import checkpoint_conversion

  done = checkpoint_conversion.convert(
      argv[1], argv[2], keep_slots=_KEEP_SLOTS.value
  )
  for stored, today in done.renamed:
    print(f"Renamed {stored} to {today}")
  for name in done.dropped[:_MAX_PRINTED]:
    print(f"Left out {name}")
  if len(done.dropped) > _MAX_PRINTED:
    print(f"Left out {len(done.dropped) - _MAX_PRINTED} more")
  print(
      f"Wrote {len(done.kept)} variables of global step {done.global_step} to"
      f" {done.checkpoint}"
  )


def run() -> None:
  """Runs the program."""
  program.run(main, positional=2)


if __name__ == "__main__":
  run()
