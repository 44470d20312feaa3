"""Counts the operations that TensorFlow runs in one step of training.

    bazel-bin/benchmarks/step_operations

On a GPU, each operation is launched by itself unless XLA joins them, and a
launch takes the host some microseconds: thousands of them take longer than the
arithmetic. The count does not depend on the machine's speed. It is read from a
trace of TensorFlow's profiler of one step on the released configuration, with a
batch of captions of 20 words: "cached" trains the decoder from image features,
"live" from images, and "phase 2" trains the encoder as well.

`--top=10` also prints the ten most frequent operations of each.
"""

import collections
from collections.abc import Sequence
import glob
import os
import re
import tempfile

from absl import flags

from im2txt.runtime import program

# An event of an operation is named "<name of the node>:<type>"; those of the
# executor have names such as "ExecutorState::Process".
_OPERATION = re.compile(r"[^:]+:([A-Z_]\w*)")

_LENGTH = flags.DEFINE_integer(
    "length", 20, "Words per caption, <S> included.", lower_bound=1
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", 32, "Images per batch.", lower_bound=1
)
_TOP = flags.DEFINE_integer(
    "top", 0, "Number of the most frequent operations to print.", lower_bound=0
)
_VARIANTS = flags.DEFINE_list(
    "variants", ["cached", "live", "phase 2"], "Variants to count."
)


def main(argv: Sequence[str]) -> None:
  """Counts and prints a table."""
  del argv
  print("| variant | operations per step |\n| --- | ---: |")
  for name in _VARIANTS.value:
    counts = count(name, _BATCH_SIZE.value, _LENGTH.value)
    print(f"| {name} | {counts.total():,} |", flush=True)
    for operation, number in counts.most_common(_TOP.value):
      print(f"|   {operation} | {number:,} |")


def count(
    variant: str, batch_size: int, length: int
) -> collections.Counter[str]:
  """Counts the operations of one step.

  Args:
    variant: "cached", "live" or "phase 2".
    batch_size: Images per batch.
    length: Words per caption.

  Returns:
    The number of operations by type, such as "MatMul".
  """
  import tensorflow as tf

  from im2txt import configuration
  from im2txt.training import trainers

  trainer = trainers.Trainer(
      configuration.ModelConfig(),
      configuration.TrainingConfig(),
      trainers.StepOptions(train_inception=variant == "phase 2"),
  )
  shape = (
      [trainer.model.encoder.feature_size]
      if variant == "cached"
      else [299, 299, 3]
  )
  batch = _batch(trainer.model.config.vocab_size, shape, batch_size, length)
  step = trainer.step_function(_any_length(batch))
  step(batch)  # Traces the step.
  with tempfile.TemporaryDirectory() as folder:
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
    with tf.profiler.experimental.Profile(folder, options):
      float(step(batch).total_loss)  # Waits for the end of the step.
    return _operations(folder)


def _batch(vocab_size, image_shape, batch_size, length):
  import tensorflow as tf

  from im2txt.ops import inputs

  words = tf.random.stateless_uniform(
      [batch_size, length + 1], [1, 2], 0, vocab_size, tf.int64
  )
  return inputs.Batch(
      tf.random.stateless_uniform([batch_size, *image_shape], [1, 2], -1, 1),
      words[:, :-1],
      words[:, 1:],
      tf.ones([batch_size, length], tf.int32),
  )


def _any_length(batch):
  """Returns the spec of batches with captions of any length."""
  import tensorflow as tf

  specs = tf.nest.map_structure(tf.TensorSpec.from_tensor, batch)
  words = {
      name: tf.TensorSpec([batch.images.shape[0], None], spec.dtype)
      for name, spec in specs._asdict().items()
      if name != "images"
  }
  return specs._replace(**words)


def _operations(folder: str) -> collections.Counter[str]:
  """Counts the operations of the host in the trace of a folder."""
  from tensorflow.tsl.profiler.protobuf import xplane_pb2

  (path,) = glob.glob(os.path.join(folder, "**", "*.xplane.pb"), recursive=True)
  space = xplane_pb2.XSpace()
  with open(path, "rb") as file:
    space.ParseFromString(file.read())
  counts: collections.Counter[str] = collections.Counter()
  for plane in space.planes:
    if plane.name != "/host:CPU":
      continue
    for line in plane.lines:
      for event in line.events:
        name = plane.event_metadata[event.metadata_id].name
        if match := _OPERATION.fullmatch(name):
          counts[match[1]] += 1
  return counts


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
