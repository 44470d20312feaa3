r"""Adds words to a model's vocabulary, so that it can learn to say them.

    bazel-bin/im2txt/extend_vocabulary \
      "${MODEL_DIR}/train" "${MSCOCO_DIR}/word_counts.txt" \
      new_data/word_counts.txt extended

takes the newest checkpoint in ${MODEL_DIR}/train and the vocabulary that it was
trained with, and writes the folder extended, with

    model.ckpt-1000000.*  the checkpoint, global step and optimizer included
    config.json           its configuration
    word_counts.txt       the old words, with their ids, then the new ones

The third argument is a vocabulary file with words in any order, one a line,
such as build_caption_data --only_vocabulary writes; words that the model knows
are passed over. The last one is a folder without a checkpoint, or a path such
as extended/im2txt.ckpt.

Until it is trained on, the model captions as before: the scores that it gives
to the words it knows don't change, and new words start as an average of them.
train --train_dir=extended continues from there, with records built with
--vocab_file=extended/word_counts.txt. If an optimizer's slots are in the
checkpoint, they grow by zeros for the new words.
"""

from absl import app

from im2txt.runtime import program

# More words are only counted.
_MAX_PRINTED = 10


def main(argv: list[str]) -> None:
  """Extends the model of the arguments."""
  if len(argv) != 5:
    raise app.UsageError(
        "Four arguments are required: the checkpoint, its vocabulary, the"
        " vocabulary with new words and the new folder."
    )
  # Here, so that --help and wrong flags need not wait for TensorFlow.
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
