r"""Shows the curves of training and evaluation in a browser.

    bazel-bin/im2txt/tensorboard --logdir="${MODEL_DIR}"

This is the TensorBoard of the environment that Bazel made, so that none has to
be installed; its own --help lists its flags.
"""

import sys

from tensorboard import main as tensorboard

from im2txt.runtime import program


def run() -> None:
  """Runs the program."""
  program.import_tensorflow()
  sys.exit(tensorboard.run_main())


if __name__ == "__main__":
  run()
