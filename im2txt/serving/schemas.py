"""Schemas of the bodies of answers, from which OpenAPI's description is made.

`Predictions` is the answer of IBM's image caption service (MAX), so its clients
work here too.
"""

import pydantic

from im2txt.inference import captions


class Error(pydantic.BaseModel):
  """What went wrong, in a sentence."""

  status: str = "error"
  message: str


class Prediction(pydantic.BaseModel):
  """A caption; index "0" is the likeliest."""

  index: str
  caption: str
  probability: float


class Predictions(pydantic.BaseModel):
  """The captions of the one image of a request."""

  status: str = "ok"
  predictions: list[Prediction]


class Word(pydantic.BaseModel):
  """A word and its probability, given the image and the words before it."""

  word: str
  probability: float


class Caption(pydantic.BaseModel):
  """A caption.

  `score` is what captions are ranked by. `end_probability` is that of ending
  after the last word; null if the caption came to its greatest length first.
  """

  caption: str
  probability: float
  log_probability: float
  score: float
  words: list[Word]
  end_probability: float | None


class ImageAnswer(pydantic.BaseModel):
  """An image's captions, the best first, or why there are none."""

  captions: list[Caption] = []
  error: str | None = None


class Captions(pydantic.BaseModel):
  """What came of each image, in the request's order."""

  status: str = "ok"
  images: list[ImageAnswer]


class Metadata(pydantic.BaseModel):
  """What the server is, and what it takes."""

  id: str = "im2txt"
  name: str = "Show and Tell image caption generator"
  description: str = (
      "Says in a sentence what an image shows: an Inception v3 encoder and an"
      " LSTM, with a beam search."
  )
  type: str = "Image caption generation"
  license: str = "Apache 2.0"
  source: str = "https://arxiv.org/abs/1609.06647"
  vocab_size: int
  max_images: int
  max_body_bytes: int
  max_image_pixels: int
  max_request_pixels: int
  max_beam_size: int
  max_caption_length: int


class Health(pydantic.BaseModel):
  """Whether the server is well."""

  status: str = "ok"


def predictions_of(found: list[captions.Caption]) -> Predictions:
  """Returns the answer to a request of one image."""
  return Predictions(
      predictions=[
          Prediction(
              index=str(index),
              caption=caption.sentence,
              probability=caption.probability,
          )
          for index, caption in enumerate(found)
      ]
  )


def caption_of(caption: captions.Caption) -> Caption:
  """Returns a caption with all that is known of it."""
  return Caption(
      caption=caption.sentence,
      probability=caption.probability,
      log_probability=caption.log_probability,
      score=caption.score,
      words=[
          Word(word=word, probability=probability)
          for word, probability in zip(
              caption.words, caption.word_probabilities, strict=True
          )
      ],
      end_probability=caption.end_probability,
  )
