"""Tests of the schemas of responses."""

from absl.testing import absltest
from absl.testing import parameterized

from im2txt.inference import captions
from im2txt.serving import schemas


def _caption(end_probability=0.5):
  return captions.Caption(
      words=("a", "cat"),
      log_probability=-2.0,
      word_probabilities=(0.9, 0.3),
      end_probability=end_probability,
      score=-1.0,
  )


class AnswersTest(parameterized.TestCase):

  def test_predictions_are_as_ibm_has_them(self):
    self.assertEqual(
        schemas.predictions_of([_caption(), _caption()]).model_dump(),
        {
            "status": "ok",
            "predictions": [
                {
                    "index": index,
                    "caption": "a cat",
                    "probability": 0.1353352832366127,
                }
                for index in ("0", "1")
            ],
        },
    )

  @parameterized.parameters(0.5, None)
  def test_a_caption_word_by_word(self, end_probability):
    self.assertEqual(
        schemas.caption_of(_caption(end_probability)).model_dump(),
        {
            "caption": "a cat",
            "probability": 0.1353352832366127,
            "log_probability": -2.0,
            "score": -1.0,
            "words": [
                {"word": "a", "probability": 0.9},
                {"word": "cat", "probability": 0.3},
            ],
            "end_probability": end_probability,
        },
    )


if __name__ == "__main__":
  absltest.main()
