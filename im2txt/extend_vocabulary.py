r"""Adds words to a model's vocabulary, for training on captions with new words.

    bazel-bin/im2txt/extend_vocabulary \
      "${MODEL_DIR}/train" "${MSCOCO_DIR}/word_counts.txt" \
      new_data/word_counts.txt extended

reads the newest checkpoint in ${MODEL_DIR}/train and the vocabulary that it was
trained with, and writes a folder `extended` with

    model.ckpt-1000000.*  the checkpoint, with global step and optimizer
    config.json           its configuration
    word_counts.txt       the old words, with the same ids, then the new ones

The third argument is a vocabulary file with words in any order, one per line,
such as build_caption_data --only_vocabulary writes. Words that the vocabulary
already has are skipped. The last argument is a folder without a checkpoint, or
a path such as extended/im2txt.ckpt.

Before further training, captions stay the same: the logits of the old words
don't change, and the parameters of new words are averages of those of old
words. To train, run train --train_dir=extended on records that are built with
--vocab_file=extended/word_counts.txt. Optimizer slots in the checkpoint are
extended by zeros.
"""

from absl import app

from im2txt.runtime import program

# Maximum number of words to print; the others are counted.
_MAX_PRINTED = 10


def main(argv: list[str]) -> None:
  """Extends the model that the arguments name."""
  if len(argv) != 5:
    raise app.UsageError(
        "Four arguments are required: the checkpoint, its vocabulary, the"
        " vocabulary with new words and the new folder."
    )
  # Imported here, so that --help and flag errors don't wait for TensorFlow.
  program.import_tensorflow()
  from im2txt.checkpointing import checkpoint_conversion

  done = checkpoint_conversion.extend(*argv[1:])
  more = len(done.new_words) - _MAX_PRINTED
  print(
      f"Added {len(done.new_words)} words:"
      f" {' '.join(done.new_words[:_MAX_PRINTED])}"
      + (f" and {more} more" if more > 0 else "")
  )
  if done.new_size > done.old_size:
    print(f"vocab_size is {done.new_size}, and was {done.old_size}")
  else:
    print(f"vocab_size stays {done.old_size}: there were unused ids")
  print(f"Wrote {done.checkpoint} and {done.vocab_file}")


def run() -> None:
  """Runs the program."""
  program.run(main, positional=4)


if __name__ == "__main__":
  run()
