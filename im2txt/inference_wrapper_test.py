"""Tests of inference_wrapper."""

from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from im2txt import captioning
from im2txt import inference_wrapper
from im2txt.inference_utils import caption_generator
from im2txt.inference_utils import vocabulary
from im2txt.testing import original_graph
from im2txt.testing import tiny
from im2txt.testing import tiny_captioning


class InferenceWrapperTest(parameterized.TestCase, tf.test.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tf.compat.v1.test.get_temp_dir()
    cls.vocab = vocabulary.Vocabulary(tiny.write_vocabulary(folder))
    cls.saved = tiny_captioning.make_model(seed=3)
    cls.path = tiny_captioning.save(cls.saved, folder)
    cls.wrapper = inference_wrapper.InferenceWrapper()
    restore_fn = cls.wrapper.build_graph_from_config(
        tiny_captioning.CONFIG, folder
    )
    with cls.assertLogs(cls(), level="INFO") as logs:
      restore_fn(None)
    cls.logged = [record.getMessage() for record in logs.records]

  def test_restores_the_checkpoint(self):
    self.assertAllEqual(
        self.wrapper.model.decoder.word_embedding,
        self.saved.decoder.word_embedding,
    )
    self.assertEqual(
        self.logged[0], f"Loading model from checkpoint: {self.path}"
    )
    self.assertEqual(
        self.logged[-1], "Successfully loaded checkpoint: model.ckpt-1"
    )

  def test_feeds_and_steps(self):
    state = self.wrapper.feed_image(None, tiny_captioning.jpeg(1))
    self.assertEqual(state.shape, (1, 12))
    softmax, states, metadata = self.wrapper.inference_step(
        None, np.array([1, 3]), np.concatenate([state, state])
    )
    self.assertEqual(softmax.shape, (2, 12))
    self.assertAllClose(softmax.sum(axis=1), [1.0, 1.0])
    self.assertEqual(states.shape, (2, 12))
    self.assertIsNone(metadata)

  def test_caption_generator_agrees_with_the_captioner(self):
    options = {"beam_size": 4, "length_normalization_factor": 0.5}
    generator = caption_generator.CaptionGenerator(
        self.wrapper, self.vocab, **options
    )
    images = [tiny_captioning.jpeg(seed) for seed in range(8)]
    captioner = captioning.Captioner(self.saved, self.vocab)
    found = captioner.caption(images, **options)
    for image, captions in zip(images, found, strict=True):
      expected = generator.beam_search(None, image)
      self.assertEqual(
          [caption.words for caption in captions],
          [self._words(caption.sentence) for caption in expected],
      )
      self.assertAllClose(
          [(caption.log_probability, caption.score) for caption in captions],
          [(caption.logprob, caption.score) for caption in expected],
      )

  @parameterized.parameters(True, False)
  def test_a_graph_from_a_file(self, is_frozen):
    files = original_graph.write(self.create_tempdir().full_path)
    wrapper = inference_wrapper.InferenceWrapper()
    arguments = (
        (files.frozen_graph, None, "")
        if is_frozen
        else (files.graph, "saver.pb", files.checkpoint)
    )
    wrapper.build_graph_from_proto(*arguments)(None)
    image = tiny_captioning.jpeg(1)
    found, expected = (
        caption_generator.CaptionGenerator(model, self.vocab).beam_search(
            sess, image
        )
        for model, sess in (
            (wrapper, None),
            (
                original_graph.Client(),
                original_graph.session(files.frozen_graph),
            ),
        )
    )
    self.assertEqual(
        [caption.sentence for caption in found],
        [caption.sentence for caption in expected],
    )
    self.assertAllClose(
        [caption.logprob for caption in found],
        [caption.logprob for caption in expected],
    )

  def test_a_graph_without_its_checkpoint(self):
    wrapper = inference_wrapper.InferenceWrapper()
    with self.assertRaisesRegex(FileNotFoundError, "No checkpoint found"):
      wrapper.build_graph_from_proto("graph.pb", "saver.pb", "/no/model.ckpt")

  def _words(self, word_ids):
    if word_ids[-1] == self.vocab.end_id:
      word_ids = word_ids[:-1]
    return tuple(map(self.vocab.id_to_word, word_ids[1:]))


if __name__ == "__main__":
  tf.test.main()
