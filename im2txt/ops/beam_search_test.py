"""Tests of beam_search."""

import types

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt.inference_utils import caption_generator
from im2txt.ops import beam_search
from im2txt.testing import table_model

_START, _END = 1, 2
_VOCAB = types.SimpleNamespace(start_id=_START, end_id=_END)
_NUM_HIDDEN = 5


def _random_model(seed, num_images, vocab_size):
  """Returns a model with images of all kinds that matter to a search."""
  rng = np.random.default_rng(seed)
  shape = (num_images, _NUM_HIDDEN, vocab_size, vocab_size)
  tables = rng.gamma(0.5, size=shape)
  tables[1::7] = np.ceil(tables[1::7] * 2)  # Many ties.
  tables[2::7, ..., _END] = 0.0  # No finished caption.
  tables[3::7, ..., _END] *= 20.0  # Finished early.
  tables[4::7, ..., _END] *= 0.1  # Finished late.
  tables[5::7] *= 1e-12 ** (rng.random(tables[5::7].shape) < 0.6)
  tables[6::7] = 1.0  # Only ties.
  tables /= tables.sum(axis=-1, keepdims=True) + 1e-30
  return table_model.TableModel(
      tables, rng.integers(_NUM_HIDDEN, size=shape[:3])
  )


def _memoryless(*tables):
  """Returns a bigram model; one table [vocab_size, vocab_size] per image."""
  probabilities = np.array(tables)[:, np.newaxis]
  return table_model.TableModel(
      probabilities, np.zeros(probabilities.shape[:3])
  )


def _search(model, state=None, **kwargs):
  if state is None:
    state = tf.constant(model.initial_state, tf.float32)
  return beam_search.beam_search(
      model.step, state, start_id=_START, end_id=_END, **kwargs
  )


class BeamSearchTest(tf.test.TestCase, parameterized.TestCase):

  def assert_equals_reference(self, result, model, **kwargs):
    result = tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
    generator = caption_generator.CaptionGenerator(model, _VOCAB, **kwargs)
    self.assertEqual(result.num_captions.shape, (len(model.probabilities),))
    for image in range(len(model.probabilities)):
      expected = generator.beam_search(None, image)
      self.assertLen(expected, result.num_captions[image])
      for rank, caption in enumerate(expected):
        self.assert_equals_caption(result, image, rank, caption, model)
      self._assert_padding(result, image)

  def assert_equals_caption(self, result, image, rank, caption, model):
    length = result.lengths[image, rank]
    word_ids = result.word_ids[image, rank]
    self.assertEqual(list(word_ids[:length]), caption.sentence)
    self.assertEqual(
        result.is_complete[image],
        len(caption.sentence) > 1 and caption.sentence[-1] == _END,
    )
    word_log_probs = result.word_log_probs[image, rank]
    np.testing.assert_allclose(
        [
            result.log_probs[image, rank],
            result.scores[image, rank],
            word_log_probs.sum(),
        ],
        [caption.logprob, caption.score, caption.logprob],
        rtol=0,
        atol=1e-12,
    )
    hidden = 0
    for i in range(length - 1):
      word, following = caption.sentence[i : i + 2]
      probability = model.probabilities[image, hidden, word, following]
      self.assertNear(word_log_probs[i + 1], np.log(probability), 1e-6)
      hidden = model.next_hidden[image, hidden, word]

  def _assert_padding(self, result, image):
    exists = np.arange(result.lengths.shape[1]) < result.num_captions[image]
    self.assertAllEqual(result.lengths[image] > 0, exists)
    self.assertAllEqual(result.scores[image] > -np.inf, exists)
    self.assertAllEqual(result.log_probs[image] > -np.inf, exists)
    position = np.arange(result.word_ids.shape[2])
    is_padding = position >= result.lengths[image][:, np.newaxis]
    self.assertTrue((result.word_ids[image][is_padding] == _END).all())
    self.assertFalse(result.word_log_probs[image][is_padding].any())
    self.assertFalse(result.word_log_probs[image, :, 0].any())

  @parameterized.parameters(
      # beam_size, max_caption_length, length_normalization_factor, vocab_size
      (1, 20, 0.0, 12),
      (2, 7, 0.7, 12),
      (3, 20, 0.0, 12),
      (3, 20, 0.7, 30),
      (3, 12, 2.5, 12),
      (4, 9, 1.0, 4),
      (5, 20, 1.0, 12),
      (5, 5, -1.0, 12),
      (5, 20, 0.0, 3),
      (3, 2, 0.5, 12),
      (3, 1, 0.5, 12),
  )
  def test_equals_the_reference_on_random_models(
      self, beam_size, max_caption_length, factor, vocab_size
  ):
    model = _random_model(beam_size, 70, vocab_size)
    kwargs = {
        "beam_size": beam_size,
        "max_caption_length": max_caption_length,
        "length_normalization_factor": factor,
    }
    search = tf.function(
        lambda state: _search(model, state, **kwargs),
        input_signature=[tf.TensorSpec([None, 2])],
        autograph=False,
    )
    state = tf.constant(model.initial_state, tf.float32)
    self.assert_equals_reference(search(state), model, **kwargs)
    static = tf.function(
        lambda state: _search(model, state, static_shapes=True, **kwargs),
        autograph=False,
        jit_compile=True,
    )
    self.assert_equals_reference(static(state), model, **kwargs)
    # One image, eagerly, which must have the same captions as in the batch.
    alone = table_model.TableModel(
        model.probabilities[4:5], model.next_hidden[4:5]
    )
    self.assert_equals_reference(_search(alone, **kwargs), alone, **kwargs)

  # Words: 0 "a", 1 <S>, 2 </S>, 3 "b".
  _AFTER_END = (0.0, 0.0, 0.0, 0.0)

  @parameterized.named_parameters(
      (
          "complete",
          [[0.2, 0.0, 0.5, 0.3], [0.6, 0.0, 0.0, 0.4], _AFTER_END]
          + [[0.1, 0.0, 0.8, 0.1]],
          # </S> at the fourth place only: a 0.6 * 0.5, b 0.4 * 0.8.
          [([1, 3, 2], 0.32), ([1, 0, 2], 0.3)],
      ),
      (
          "end_word_at_once",
          [[0.0, 0.0, 1.0, 0.0], [0.2, 0.0, 0.7, 0.1], _AFTER_END]
          + [[0.0, 0.0, 1.0, 0.0]],
          [([1, 2], 0.7), ([1, 0, 2], 0.2)],
      ),
      (
          "no_end_word",
          [[0.75, 0.0, 0.0, 0.25], [0.5, 0.0, 0.0, 0.5], _AFTER_END]
          + [[0.0, 0.0, 0.0, 1.0]],
          # The tie of "b b" with no other; "a a a" 0.28 is second.
          [([1, 3, 3, 3], 0.5), ([1, 0, 0, 0], 0.28125)],
      ),
      (
          "nothing_likely_enough",
          [[0.0] * 4, [1e-13, 0.0, 1e-13, 1e-13], _AFTER_END, [0.0] * 4],
          [],
      ),
      (
          "ties_go_to_the_smaller_id_and_the_better_caption",
          [[0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 0.0, 0.5], _AFTER_END]
          + [[0.0, 0.0, 0.5, 0.5]],
          [([1, 0, 2], 0.25), ([1, 3, 2], 0.25)],
      ),
  )
  def test_known_captions(self, table, expected):
    result = _search(_memoryless(table), beam_size=2, max_caption_length=4)
    captions = [
        (
            list(result.word_ids[0, i, : result.lengths[0, i]].numpy()),
            probability,
        )
        for i, probability in enumerate(np.exp(result.log_probs[0]))
        if i < result.num_captions[0]
    ]
    self.assertLen(captions, len(expected))
    for (word_ids, probability), (known_ids, known) in zip(
        captions, expected, strict=True
    ):
      self.assertEqual(word_ids, known_ids)
      self.assertNear(probability, known, 1e-6)

  def test_normalization_prefers_longer_captions(self):
    # Of "</S>" (0.3), "a </S>" (0.32) and "a a </S>" (0.16), the last is less
    # likely than the first but scores ln 0.16 / 4 = -0.46 to ln 0.3 / 2 = -0.6.
    table = [[0.0] * 4] * 4
    table[_START] = [0.64, 0.0, 0.3, 0.0]
    table[0] = [0.5, 0.0, 0.5, 0.0]
    for factor, lengths in ((0.0, [3, 2]), (1.0, [3, 4])):
      result = _search(
          _memoryless(table),
          beam_size=2,
          max_caption_length=4,
          length_normalization_factor=factor,
      )
      self.assertAllEqual(result.lengths, [lengths])
    self.assertAllClose(
        result.scores, [[np.log(0.32) / 3, np.log(0.16) / 4]], atol=1e-6
    )
    self.assertAllClose(
        result.log_probs, [[np.log(0.32), np.log(0.16)]], atol=1e-6
    )

  @parameterized.parameters(
      # Both images; then "a" of the second, which proposes "a </S>" (1/8) and
      # "a a" (1/16), while "</S>" (1/2) and "a </S>" are two finished captions.
      (False, [2, 1]),
      # All slots of both images, in as many steps.
      (True, [4, 4]),
  )
  def test_steps_only_hypotheses_that_can_still_win(
      self, static_shapes, expected
  ):
    ends_at_once = [[0.0, 0.0, 1.0, 0.0]] * 4
    continues = [[0.25, 0.0, 0.5, 0.25]] * 4
    model = _memoryless(ends_at_once, continues)
    rows = []

    def step(input_ids, state):
      rows.append(input_ids.shape[0])
      return model.step(input_ids, state)

    beam_search.beam_search(
        step,
        tf.constant(model.initial_state, tf.float32),
        start_id=_START,
        end_id=_END,
        beam_size=2,
        static_shapes=static_shapes,
    )
    self.assertEqual(rows, expected)

  def test_takes_a_structure_of_states(self):
    model = _random_model(8, 7, 6)
    image, hidden = np.float32(model.initial_state).T

    def step(input_ids, state):
      state = tf.stack([state["image"], state["hidden"][:, 0]], axis=1)
      probabilities, state = model.step(input_ids, state)
      return probabilities, {"image": state[:, 0], "hidden": state[:, 1:]}

    result = beam_search.beam_search(
        step,
        {"image": tf.constant(image), "hidden": tf.constant(hidden[:, None])},
        start_id=_START,
        end_id=_END,
    )
    self.assert_equals_reference(result, model)

  def test_no_image_has_no_caption(self):
    model = _random_model(8, 7, 6)
    result = _search(model, tf.zeros([0, 2]))
    self.assertEqual(result.word_ids.shape, (0, 3, 20))

  def test_exports_in_a_saved_model(self):
    model = _random_model(9, 7, 12)
    module = tf.Module()
    module.search = tf.function(
        lambda state: _search(model, state)._asdict(),
        input_signature=[tf.TensorSpec([None, 2])],
        autograph=False,
    )
    folder = self.create_tempdir().full_path
    tf.saved_model.save(module, folder)
    loaded = tf.saved_model.load(folder)
    state = tf.constant(model.initial_state, tf.float32)
    result = beam_search.BeamSearchResult(**loaded.search(state))
    self.assert_equals_reference(result, model)

  @parameterized.parameters(("beam_size", 0), ("max_caption_length", 0))
  def test_rejects(self, name, value):
    with self.assertRaisesRegex(ValueError, "at least 1"):
      _search(_random_model(1, 1, 4), **{name: value})


def _captions(*scores):
  """Returns one image's captions: a word each, its rank, with these scores."""
  captions = beam_search.initial_beams(
      tf.constant(1), len(scores), 2, start_id=0
  )
  return captions._replace(
      word_ids=captions.word_ids + tf.range(len(scores))[:, tf.newaxis],
      log_probs=tf.constant([scores], tf.float64),
      scores=tf.constant([scores], tf.float64),
  )


class BeamTest(tf.test.TestCase):

  def test_starts_with_one_hypothesis_per_image(self):
    captions = beam_search.initial_beams(tf.constant(2), 3, 4, start_id=5)
    self.assertAllEqual(captions.is_valid, [[True, False, False]] * 2)
    self.assertAllEqual(captions.word_ids[:, 0, 0], [5, 5])
    self.assertAllEqual(captions.log_probs[:, 0], [0.0, 0.0])
    self.assertAllEqual(captions.lengths[:, 0], [1, 1])

  def test_appends_a_word(self):
    captions = beam_search.initial_beams(tf.constant(1), 2, 3, start_id=5)
    captions = beam_search.append_word(
        captions, tf.constant([[6, 7]]), tf.constant([[-1.0, -2.0]], tf.float64)
    )
    captions = beam_search.append_word(
        captions, 8, tf.constant([[-0.5, -1]], tf.float64)
    )
    self.assertAllEqual(captions.word_ids[0, 0], [5, 6, 8])
    self.assertAllEqual(captions.word_log_probs[0, 0], [0.0, -1.0, -0.5])
    self.assertAllEqual(captions.log_probs, [[-1.5, -np.inf]])
    self.assertAllEqual(captions.scores, [[-1.5, -np.inf]])
    self.assertAllEqual(captions.lengths[0, 0], 3)

  def test_an_impossible_word_empties_the_slot(self):
    captions = beam_search.initial_beams(tf.constant(1), 1, 3, start_id=5)
    captions = beam_search.append_word(
        captions, 6, tf.constant([[-np.inf]], tf.float64)
    )
    self.assertAllEqual(captions.is_valid, [[False]])

  def test_selects_by_rank(self):
    captions = beam_search.select(
        _captions(-1.0, -2.0, -3.0), tf.constant([[2, 0, 0]])
    )
    self.assertAllEqual(captions.word_ids[0, :, 0], [2, 0, 0])
    self.assertAllEqual(captions.scores, [[-3.0, -1.0, -1.0]])

  def test_removes(self):
    captions = beam_search.remove(
        _captions(-1.0, -2.0), tf.constant([[True, False]])
    )
    self.assertAllEqual(captions.is_valid, [[False, True]])
    self.assertAllEqual(captions.scores, [[-np.inf, -2.0]])

  def test_the_best_of_equal_scores_are_the_earlier(self):
    later = _captions(-1.0, -2.0)
    later = later._replace(word_ids=later.word_ids + 10)
    captions = beam_search.merge_best(_captions(-1.0, -3.0), later)
    self.assertAllEqual(captions.word_ids[0, :, 0], [0, 10])
    captions = beam_search.merge_best(_captions(-2.0, -2.0), later)
    self.assertAllEqual(captions.word_ids[0, :, 0], [10, 0])

  def test_chooses_by_image(self):
    one, other = (
        beam_search.initial_beams(tf.constant(2), 1, 2, start_id=i)
        for i in range(2)
    )
    captions = beam_search.choose_beams(tf.constant([False, True]), one, other)
    self.assertAllEqual(captions.word_ids[:, 0, 0], [1, 0])

  def _proposals(self):
    """Returns 9 (the end), 7, 8 for one caption and 7, 8, 3 for the other."""
    word_ids = tf.constant([[[9, 7, 8], [7, 8, 3]]])
    return beam_search.Proposals(
        word_ids=word_ids,
        log_probs=tf.constant(
            [[[-1.0, -2.0, -4.0], [-1.0, -2.0, -np.inf]]], tf.float64
        ),
        is_end=word_ids == 9,
        rows=tf.constant([[5, 6]]),
    )

  def test_finishes_where_the_end_word_is_proposed(self):
    finished = beam_search.finish(
        _captions(-1.0, -2.0),
        self._proposals(),
        9,
        penalty=tf.constant(2.0, tf.float64),
    )
    self.assertAllEqual(finished.is_valid, [[True, False]])
    self.assertAllEqual(finished.word_ids[0, 0], [0, 9])
    self.assertAllEqual(finished.log_probs[0, 0], -2.0)
    self.assertAllEqual(finished.scores[0, 0], -1.0)

  def test_extends_by_the_most_likely_other_words(self):
    # Both 0 7 and 1 7 have -3; 1 8 has -4 and 0 8 has -5.
    in_graph = tf.function(beam_search.extend, autograph=False)
    for function in (beam_search.extend, in_graph):
      captions, rows = function(_captions(-1.0, -2.0), self._proposals())
      self.assertAllEqual(captions.word_ids, [[[0, 7], [1, 7]]])
      self.assertAllEqual(captions.log_probs, [[-3.0, -3.0]])
      self.assertAllEqual(captions.word_log_probs, [[[0, -2.0], [0, -1.0]]])
      self.assertAllEqual(rows, [[5, 6]])
    later, rows = beam_search.extend(_captions(-9.0, -2.0), self._proposals())
    self.assertAllEqual(later.word_ids, [[[1, 7], [1, 8]]])
    self.assertAllEqual(rows, [[6, 6]])


if __name__ == "__main__":
  tf.test.main()
