r"""Measures captioning from the start of a program to its end.

    python -m benchmarks.start_up \
      --checkpoint_path=model/train --vocab_file=word_counts.txt \
      --input_files='photos/*.jpg' --num_images=1

Each round is a process of its own. "plain" represents the original: it
initializes the variables with random values, reads a checkpoint to replace
them, traces the encoder and searches on the host. "import tensorflow" is the
part that no code here can change. Peak memory is the maximum over the rounds.
"""

import functools
import subprocess
import sys

from absl import flags

from benchmarks import captioning_inputs
from benchmarks import measure

flags.adopt_module_key_flags(captioning_inputs)

_CAPTION_PLAINLY = """\
from benchmarks import captioning
from benchmarks import captioning_inputs
captioning.make_plain(captioning_inputs.Inputs({!r}, {!r}, {!r}))()
"""


def make_run(*arguments: str) -> measure.Run:
  """Returns a round that runs Python with these arguments to its end."""

  def run() -> int:
    subprocess.run(
        [sys.executable, *arguments], check=True, capture_output=True
    )
    return 1

  return run


def main(inputs: captioning_inputs.Inputs) -> None:
  """Prints the table."""
  program = [
      "-m",
      "im2txt.run_inference",
      f"--checkpoint_path={inputs.checkpoint}",
      f"--vocab_file={inputs.vocab_file}",
      f"--input_files={','.join(inputs.files)}",
  ]
  commands = {
      "plain": ["-c", _CAPTION_PLAINLY.format(*inputs)],
      "run_inference": program,
      "run_inference --precision=bfloat16": [
          *program,
          "--precision=bfloat16",
      ],
      "import tensorflow": ["-c", "import tensorflow"],
      "import tensorflow, without Keras": [
          "-c",
          "import sys; sys.modules['keras'] = None; import tensorflow",
      ],
  }
  variants = [
      measure.Variant(name, functools.partial(make_run, *arguments))
      for name, arguments in commands.items()
  ]
  results = measure.compare(variants, rounds=captioning_inputs.ROUNDS.value)
  measure.print_table(results, unit="run")


if __name__ == "__main__":
  flags.FLAGS.set_default("num_images", 1)
  captioning_inputs.run(main)
