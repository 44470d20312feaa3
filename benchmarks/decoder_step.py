r"""Measures a training step of the decoder alone, against a plain one.

    bazel-bin/benchmarks/decoder_step

"plain" is the textbook implementation: at each time step, one product for both
the input and the state of the cell; and logits at all positions, of which the
loss ignores the padded ones. "ours" is the implementation used for training:
one product projects the inputs of all time steps, another computes the gradient
of the recurrent kernel, and logits are computed at words only. Losses and
gradients are the same, including dropout.

`--plot=vocabulary.png` also plots the cost against the vocabulary size, which
determines most of a step's work.
"""

from collections.abc import Sequence
import functools

from absl import flags

from benchmarks import growth
from benchmarks import measure
from im2txt.runtime import program

_CONFIG_OVERRIDES = flags.DEFINE_string(
    "config_overrides", "", "Overrides of the configuration, as for train."
)
_STEPS = flags.DEFINE_integer("steps", 10, "Steps per round.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer(
    "rounds", 5, "Number of measured rounds per variant.", lower_bound=1
)
_PLOT = flags.DEFINE_string(
    "plot",
    "",
    "PNG file for a plot of the cost of 0.25 to 2 times the vocabulary size.",
)

_WAYS = ("plain", "ours")
_NUM_BATCHES = 8


def main(argv: Sequence[str]) -> None:
  """Prints a table, and plots the cost if requested."""
  del argv
  from im2txt import configuration

  config, _ = configuration.apply_overrides(
      configuration.ModelConfig(),
      configuration.TrainingConfig(),
      _CONFIG_OVERRIDES.value,
  )
  sizes = [config.vocab_size]
  if _PLOT.value:
    sizes = [int(config.vocab_size * part) for part in (0.25, 0.5, 1, 2)]
  variants = [
      measure.Variant(
          f"{way}, {size} words",
          functools.partial(
              make_run,
              way,
              f"{_CONFIG_OVERRIDES.value},vocab_size={size}",
              _STEPS.value,
          ),
      )
      for size in sizes
      for way in _WAYS
  ]
  results = measure.compare(variants, rounds=_ROUNDS.value)
  measure.print_table(results, unit="step")
  if _PLOT.value:
    growth.plot(
        _PLOT.value,
        title="A training step of the decoder",
        xlabel="words in the vocabulary",
        sizes=sizes,
        cpu_secs={
            way: [r.median.cpu_secs for r in results[i :: len(_WAYS)]]
            for i, way in enumerate(_WAYS)
        },
    )


def make_run(way: str, overrides: str, num_steps: int) -> measure.Run:
  """Prepares a variant.

  Args:
    way: "plain" or "ours".
    overrides: Overrides of the configuration.
    num_steps: Number of steps per round.

  Returns:
    A function that trains for one round.
  """
  import tensorflow as tf

  from im2txt import configuration
  from im2txt.ops import caption_decoder
  from im2txt.ops import optimizers

  config, training_config = configuration.apply_overrides(
      configuration.ModelConfig(), configuration.TrainingConfig(), overrides
  )
  batches = make_batches(config, _NUM_BATCHES)
  decoder = caption_decoder.CaptionDecoder(
      feature_size=batches[0].images.shape[1],
      vocab_size=config.vocab_size,
      embedding_size=config.embedding_size,
      num_units=config.num_lstm_units,
      initializer_scale=config.initializer_scale,
      dropout_keep_prob=config.lstm_dropout_keep_prob,
  )
  variables = decoder.variables_by_name
  optimizer = optimizers.make_optimizer(training_config.optimizer, variables)
  losses = {"plain": plain_losses, "ours": our_losses}[way]

  def step(batch):
    with tf.GradientTape() as tape:
      word_losses = losses(
          decoder, batch, tf.constant([1, 2]), config.lstm_dropout_keep_prob
      )
      loss = tf.reduce_mean(word_losses)
    gradients = tape.gradient(loss, list(variables.values()))
    clipped, _ = tf.clip_by_global_norm(
        gradients, training_config.clip_gradients
    )
    optimizer.apply(clipped, tf.constant(1.0))
    return loss

  step = tf.function(step, autograph=False, reduce_retracing=True)
  for batch in batches[:2]:  # Traces the step for captions of any length.
    step(batch)

  def run() -> float:
    for number in range(num_steps):
      float(step(batches[number % len(batches)]))  # Waits for the step's end.
    return num_steps

  return run


def make_batches(config, count: int) -> list:
  """Returns synthetic batches of features and captions."""
  import numpy as np
  import tensorflow as tf

  from benchmarks import synthetic_records
  from im2txt.ops import inputs

  rng = np.random.default_rng(3)
  batches = []
  for _ in range(count):
    captions = tf.ragged.constant(
        [
            synthetic_records.caption(rng, config.vocab_size)
            for _ in range(config.batch_size)
        ],
        tf.int64,
    )
    features = np.maximum(0, rng.normal(size=[config.batch_size, 2048]))
    batches.append(
        inputs.make_batch(
            tf.constant(features, tf.float32),
            captions.to_tensor(),
            captions.row_lengths(),
        )
    )
  return batches


def our_losses(decoder, batch, seed, keep_prob):
  """Returns the losses of the words of a batch, as the model computes them."""
  del keep_prob  # The decoder has its own.
  import tensorflow as tf

  logits = decoder.word_logits(
      batch.images, batch.input_seqs, batch.input_mask, dropout_seed=seed
  )
  return tf.nn.sparse_softmax_cross_entropy_with_logits(
      tf.boolean_mask(batch.target_seqs, batch.input_mask > 0), logits
  )


def plain_losses(decoder, batch, seed, keep_prob):
  """Returns the same losses, one time step at a time, padding included."""
  import tensorflow as tf

  from im2txt.ops import lstm

  drop = functools.partial(
      tf.nn.experimental.stateless_dropout, rate=1 - keep_prob
  )
  input_seed, output_seed = tf.unstack(
      tf.random.experimental.stateless_split(seed)
  )
  words = tf.nn.embedding_lookup(decoder.word_embedding, batch.input_seqs)
  image = batch.images @ decoder.image_embedding
  steps = drop(
      tf.concat([image[:, tf.newaxis], words], axis=1), seed=input_seed
  )
  num_units = decoder.logits_weights.shape[0]

  def cell(state, step_inputs):
    return lstm.lstm_step(
        step_inputs, state, kernel=decoder.lstm_kernel, bias=decoder.lstm_bias
    )

  states = tf.scan(
      cell,
      tf.transpose(steps, [1, 0, 2]),
      tf.zeros([tf.shape(steps)[0], 2 * num_units]),
  )
  outputs = drop(
      tf.transpose(states[..., num_units:], [1, 0, 2]), seed=output_seed
  )
  logits = tf.tensordot(outputs[:, 1:], decoder.logits_weights, 1)
  losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
      batch.target_seqs, logits + decoder.logits_biases
  )
  return tf.boolean_mask(losses, batch.input_mask > 0)


def run() -> None:
  """Runs the program."""
  program.run(main)


if __name__ == "__main__":
  run()
