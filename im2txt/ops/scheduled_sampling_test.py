"""Tests of scheduled sampling with a decoder that only adds up words."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.ops import scheduled_sampling

_VOCAB_SIZE = 10
_WRAPS = (
    ("eager", lambda function: function),
    ("graph", lambda function: tf.function(function, autograph=False)),
)


def _next_state(time, word_ids, state):
  """Returns the states; a state is the sum of the words so far."""
  del time
  return state + tf.cast(word_ids, tf.float32)[:, tf.newaxis]


def _next_logits(time, state, rows):
  """Returns logits by which the next word is, with certainty, that sum."""
  del time
  words = tf.cast(tf.gather(state, rows)[:, 0], tf.int32)
  return tf.one_hot(words, _VOCAB_SIZE, on_value=1e4)


def _even_logits(time, state, rows):
  del time, state
  return tf.zeros([tf.size(rows), _VOCAB_SIZE])


def _sample(input_seqs, mask, probability, logits=_next_logits, seed=(1, 2)):
  input_seqs = tf.constant(input_seqs, tf.int64)
  return scheduled_sampling.sample_inputs(
      input_seqs,
      tf.constant(mask),
      scheduled_sampling.Decoder(
          tf.zeros([input_seqs.shape[0], 1]), _next_state, logits
      ),
      probability=tf.constant(probability),
      seed=tf.constant(seed),
  )


class TeacherProbabilityTest(parameterized.TestCase, tf.test.TestCase):

  def _probabilities(self, schedule, steps, **parameters):
    values = {
        "offset": 1.0,
        "slope": 0.25,
        "base": 0.5,
        "k": 1.0,
        "minimum": 0.0,
        **parameters,
    }
    function = tf.function(
        lambda step: scheduled_sampling.teacher_probability(
            schedule, step, **values
        ),
        autograph=False,
    )
    return [function(tf.constant(step)) for step in steps]

  @parameterized.named_parameters(
      ("linear", "linear", {}, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]),
      ("offset", "linear", {"offset": 1.5}, [1.0, 1.0, 1.0, 0.75, 0.5, 0.25]),
      (
          "minimum",
          "linear",
          {"minimum": 0.6},
          [1.0, 0.75, 0.6, 0.6, 0.6, 0.6],
      ),
      (
          "exponential",
          "exponential",
          {},
          [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125],
      ),
      # 1 / (1 + exp(i)); and 4 / (4 + exp(i / 4)).
      (
          "inverse_sigmoid",
          "inverse_sigmoid",
          {},
          [0.5, 0.268941, 0.119203, 0.047426, 0.017986, 0.006693],
      ),
      (
          "slower",
          "inverse_sigmoid",
          {"k": 4.0},
          [0.8, 0.756999, 0.708125, 0.653915, 0.595390, 0.534021],
      ),
  )
  def test_formulas(self, schedule, parameters, expected):
    actual = self._probabilities(schedule, range(6), **parameters)
    self.assertAllClose(expected, actual, atol=1e-6)

  def test_millions_of_steps(self):
    steps = [1_000_000, 2_000_000_000]
    # exp(-0.5000001) and, much later, 0.
    actual = self._probabilities("exponential", steps, base=0.9999995)
    self.assertAllClose([0.60653, 0.0], actual, atol=1e-5)
    # 1e5 / (1e5 + exp(10)).
    actual = self._probabilities("inverse_sigmoid", steps, k=1e5)
    self.assertAllClose([0.819492, 0.0], actual, atol=1e-5)

  def test_unknown_schedule(self):
    with self.assertRaisesRegex(ValueError, "linear, .* Got: 'cosine'"):
      self._probabilities("cosine", [0])


class SampleInputsTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.named_parameters(*_WRAPS)
  def test_never(self, wrap):
    seqs = [[1, 7, 8], [1, 5, 0]]
    mask = [[1, 1, 1], [1, 1, 0]]
    actual = wrap(lambda: _sample(seqs, mask, 0.0))()
    self.assertEqual(tf.int64, actual.dtype)
    self.assertAllEqual(seqs, actual)

  @parameterized.named_parameters(*_WRAPS)
  def test_always_but_at_starts_and_padding(self, wrap):
    seqs = [[1, 7, 8, 9], [2, 5, 0, 0]]
    mask = [[1, 1, 1, 1], [1, 1, 0, 0]]
    # The sums of the inputs: 1; 1 + 1; 1 + 1 + 2. And 2.
    actual = wrap(lambda: _sample(seqs, mask, 1.0))()
    self.assertAllEqual([[1, 1, 2, 4], [2, 2, 0, 0]], actual)

  def test_in_a_dataset(self):
    seqs, mask = [[1, 7, 8]], [[1, 1, 1]]
    dataset = tf.data.Dataset.range(1).map(lambda _: _sample(seqs, mask, 1.0))
    self.assertAllEqual([[1, 1, 2]], next(iter(dataset)))

  def test_shares(self):
    seqs = np.full([200, 51], 3)
    ones = np.ones_like(seqs, np.int32)
    actual = _sample(seqs, ones, 0.25, _even_logits).numpy()
    self.assertAllEqual(seqs[:, 0], actual[:, 0])
    counts = np.bincount(actual[:, 1:].ravel(), minlength=_VOCAB_SIZE)
    # A quarter of the words is drawn, with equal probabilities of ten words:
    # each is 250 of 10,000 words, with a standard deviation of 15.6.
    others = np.delete(counts, 3)
    self.assertAllInRange(others, 250 - 60, 250 + 60)
    self.assertEqual(10_000, counts.sum())

  def test_depends_on_the_seed_alone(self):
    seqs = np.full([20, 11], 3)
    draw = lambda *seed: _sample(
        seqs, np.ones_like(seqs, np.int32), 0.5, _even_logits, seed
    )
    self.assertAllEqual(draw(1, 2), draw(1, 2))
    self.assertNotAllEqual(draw(1, 2), draw(1, 3))
    # The draws differ between positions too.
    columns = draw(1, 2).numpy().T
    self.assertGreater(len({tuple(column) for column in columns[1:]}), 8)

  def test_any_length_in_one_trace(self):
    spec = tf.TensorSpec([None, None], tf.int32)
    function = tf.function(
        lambda seqs, mask: scheduled_sampling.sample_inputs(
            seqs,
            mask,
            scheduled_sampling.Decoder(
                tf.zeros([tf.shape(seqs)[0], 1]), _next_state, _next_logits
            ),
            probability=tf.constant(1.0),
            seed=tf.constant([1, 2]),
        ),
        input_signature=[spec, spec],
        autograph=False,
    )
    self.assertAllEqual([[1]], function([[1]], [[1]]))
    self.assertAllEqual([[1, 1, 2]], function([[1, 7, 7]], [[1, 1, 1]]))


if __name__ == "__main__":
  tf.test.main()
