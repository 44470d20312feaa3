r"""Rewrites a checkpoint of any age with today's names, in today's format.

    bazel-bin/im2txt/convert_checkpoint old/model.ckpt-2000000 new

writes new/model.ckpt-2000000.*, and new/checkpoint and new/config.json beside
it, with which the original's code of TensorFlow 1.2 or later and all programs
here find what they need. The second argument is a folder without a checkpoint,
or a path such as new/im2txt.ckpt. The programs here read old checkpoints as
they are; this one is for other code, or to leave out what takes space.
"""

from absl import app
from absl import flags

from im2txt.runtime import program

_KEEP_SLOTS = flags.DEFINE_boolean(
    "keep_slots",
    False,
    "Whether to keep the slots of Momentum and Adam, from which training with"
    " the same optimizer goes on.",
)

# More of what was left out is only counted.
_MAX_PRINTED = 10


def main(argv: list[str]) -> None:
  """Converts the checkpoint of the arguments."""
  if len(argv) != 3:
    raise app.UsageError(
        "Two arguments are required: the old checkpoint and the new folder."
    )
  # Here, so that --help and wrong flags need not wait for TensorFlow.
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
