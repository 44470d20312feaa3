r"""Writes a trained model in a form that runs without im2txt.

    bazel-bin/im2txt/export_model \
      --checkpoint_path="${MODEL_DIR}/train" \
      --format=frozen_graph \
      --output_file="${MODEL_DIR}/model.pb"

A frozen graph is one file for TensorFlow's sessions, in Python or in any other
language. It takes what clients of the original's graph feed, and gives what
they fetch, by the same names:

    image_feed:0 (an encoded image)        ->  lstm/initial_state:0
    input_feed:0 and lstm/state_feed:0     ->  softmax:0 and lstm/state:0

The search for captions is the client's. run_inference takes the file too.
"""

from absl import flags
from absl import logging

from im2txt import program

_CHECKPOINT_PATH = flags.DEFINE_string(
    "checkpoint_path",
    "",
    "A checkpoint (.../model.ckpt-2000000), or a folder, whose newest one is"
    " taken. A config.json beside it says how the model is made; without one it"
    " is the released model, with the sizes that the checkpoint has.",
)
_FORMAT = flags.DEFINE_enum(
    "format", "frozen_graph", ["frozen_graph"], "What to write."
)
_OUTPUT_FILE = flags.DEFINE_string(
    "output_file",
    "",
    "The file to make or to replace. run_inference knows a frozen graph by the"
    " name's end, .pb.",
)
_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides",
    "",
    "Changes to the model's configuration, such as"
    " vocab_size=9000,embedding_size=256.",
)


def main(argv: list[str]) -> None:
  """Writes the model of the flags."""
  del argv
  program.require(_CHECKPOINT_PATH, _OUTPUT_FILE)

  # Only now, as TensorFlow takes seconds to import.
  from im2txt import checkpoints
  from im2txt import configuration
  from im2txt import frozen_graph
  from im2txt import show_and_tell_model
  from im2txt.inference_utils import inference_wrapper_base

  path = checkpoints.find(_CHECKPOINT_PATH.value)
  config, _ = configuration.apply_overrides(
      *checkpoints.load_config(path), _CONFIG_OVERRIDES.value
  )
  logging.info("Building model.")
  model = show_and_tell_model.ShowAndTellModel(config, "inference")
  inference_wrapper_base.restore(model, path, averaged=config.use_ema)
  frozen_graph.write(frozen_graph.build(model), _OUTPUT_FILE.value)
  logging.info("Wrote %s: %s", _FORMAT.value, _OUTPUT_FILE.value)


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
