"""Tests of ensembles, against the mean in NumPy and the reference search."""

import dataclasses
import os
from unittest import mock

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import captioning
from im2txt.inference import ensemble
from im2txt.inference_utils import caption_generator
from im2txt.inference_utils import vocabulary
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class _MeanOfMembers:
  """A model for the reference search that keeps each member's state apart."""

  def __init__(self, members):
    self._members = members

  def feed_image(self, sess, encoded_image):
    del sess
    states = [
        m.initial_states(m.preprocess_image(encoded_image)[tf.newaxis]).numpy()
        for m in self._members
    ]
    return np.concatenate(states, axis=1)

  def inference_step(self, sess, input_feed, state_feed):
    del sess
    steps = [
        member.decode_step(tf.constant(input_feed), tf.constant(state))
        for member, state in zip(
            self._members,
            np.split(state_feed, len(self._members), axis=1),
            strict=True,
        )
    ]
    softmax = np.mean([probabilities for probabilities, _ in steps], axis=0)
    return softmax, np.concatenate([s for _, s in steps], axis=1), None


class EnsembleTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tf.compat.v1.test.get_temp_dir()
    for name in ("first", "other", "sharing"):
      os.makedirs(f"{folder}/{name}")
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    first, other = tiny_captioning.make_model(), tiny_captioning.make_model(1)
    cls.paths = [
        tiny_captioning.save(first, f"{folder}/first"),
        tiny_captioning.save(other, f"{folder}/other"),
    ]
    # Of the first one's encoder, which it looks at in the same way.
    other.decoder.image_embedding.assign(first.decoder.image_embedding)
    for name, variable in first.encoder.variables_by_name.items():
      other.encoder.variables_by_name[name].assign(variable)
    cls.paths.append(tiny_captioning.save(other, f"{folder}/sharing"))
    cls.members = ensemble.load([tiny_captioning.CONFIG] * 3, cls.paths).members
    cls.images = [tiny_captioning.jpeg(seed) for seed in range(4)]

  def _ensemble(self, *numbers):
    return ensemble.Ensemble([self.members[number] for number in numbers])

  @parameterized.parameters(False, True)
  def test_a_step_is_the_mean_of_the_members_steps(self, in_graph):
    model = self._ensemble(0, 1, 2)
    rng = np.random.default_rng(0)
    state = rng.uniform(-1, 1, [5, 36]).astype(np.float32)
    word_ids = rng.integers(0, tiny.VOCAB_SIZE, [5])
    step = model.decode_step
    if in_graph:
      step = tf.function(step, autograph=False)
    mean, new_state = step(tf.constant(word_ids), tf.constant(state))
    steps = [
        member.decode_step(tf.constant(word_ids), tf.constant(part))
        for member, part in zip(
            model.members, np.split(state, 3, axis=1), strict=True
        )
    ]
    self.assertAllClose(mean, sum(p.numpy() for p, _ in steps) / 3)
    self.assertAllClose(tf.reduce_sum(mean, axis=1), np.ones(5))
    self.assertAllClose(new_state, np.hstack([s for _, s in steps]))
    # They are not alike, so that a single one would not do.
    self.assertNotAllClose(steps[0][0], steps[1][0], atol=0.05)

  @parameterized.parameters(((0, 1),), ((0, 2),), ((2, 0),))
  def test_captions_are_those_of_the_reference_search(self, numbers):
    model = self._ensemble(*numbers)
    results = captioning.Captioner(model, self.vocab).caption(self.images)
    reference = caption_generator.CaptionGenerator(
        _MeanOfMembers(model.members), self.vocab
    )
    for image, actual in zip(self.images, results, strict=True):
      expected = reference.beam_search(None, image)
      self.assertEqual(
          [[*c.words, *(["</S>"] if c.is_complete else [])] for c in actual],
          [
              [self.vocab.id_to_word(w) for w in c.sentence[1:]]
              for c in expected
          ],
      )
      self.assertAllClose(
          [c.log_probability for c in actual],
          [c.logprob for c in expected],
          atol=1e-3,
      )

  def test_members_with_the_same_encoder_share_it(self):
    first, other, sharing = self.members
    self.assertIs(sharing.encoder, first.encoder)
    self.assertIsNot(other.encoder, first.encoder)

  def test_each_encoder_sees_the_images_once(self):
    model = self._ensemble(0, 2)
    encoder = mock.Mock(side_effect=self.members[0].encoder)
    images = tf.stack([model.preprocess_image(image) for image in self.images])
    with (
        mock.patch.object(self.members[0], "encoder", encoder),
        mock.patch.object(self.members[2], "encoder", encoder),
    ):
      states = model.initial_states(images)
    encoder.assert_called_once()
    self.assertAllEqual(states.shape, [4, 24])

  def test_no_member(self):
    with self.assertRaisesRegex(ValueError, "at least one member"):
      ensemble.Ensemble([])

  @parameterized.parameters(
      ({"resize_height": 90, "resize_width": 90}, "resize_height=80.*=90"),
      ({"image_format": "png"}, "model 2 has image_format=png"),
  )
  def test_members_that_see_different_images(self, changes, message):
    first = self.members[0]
    config = dataclasses.replace(first.config, **changes)
    other = mock.Mock(vocab_size=first.vocab_size, config=config)
    with self.assertRaisesRegex(ValueError, message):
      ensemble.Ensemble([first, other])

  def test_members_with_other_vocabularies(self):
    other = mock.Mock(vocab_size=13, config=self.members[0].config)
    with self.assertRaisesRegex(ValueError, "vocab_size=12 .* vocab_size=13"):
      ensemble.Ensemble([*self.members, other])


if __name__ == "__main__":
  tf.test.main()
