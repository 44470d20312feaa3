"""Schemas of response bodies, also for the OpenAPI description.

`Predictions` is the response of IBM's image caption service (MAX), so its
clients work with this server too.
"""

import pydantic

from im2txt.inference import captions


class Error(pydantic.BaseModel):
  """An error message."""

  status: str = "error"
  message: str


class Prediction(pydantic.BaseModel):
  """A caption; index "0" is the best one."""

  index: str
  caption: str
  probability: float


class Predictions(pydantic.BaseModel):
  """The captions of a single image."""

  status: str = "ok"
  predictions: list[Prediction]


class Word(pydantic.BaseModel):
  """A word and its probability given the image and the previous words."""

  word: str
  probability: float


class Caption(pydantic.BaseModel):
  """A caption with its score and its words.

  Captions are ranked by `score`. `end_probability` is the probability of the
  end-of-sentence word after the last word; null if the caption reached its
  maximum length without one.
  """

  caption: str
  probability: float
  log_probability: float
  score: float
  words: list[Word]
  end_probability: float | None


class ImageAnswer(pydantic.BaseModel):
  """The captions of an image, the best first, or an error."""

  captions: list[Caption] = []
  error: str | None = None


class Captions(pydantic.BaseModel):
  """The captions of all images, in the order of the request."""

  status: str = "ok"
  images: list[ImageAnswer]


class Metadata(pydantic.BaseModel):
  """A description of the model, and the server's limits."""

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
  """The status of a server that runs."""

  status: str = "ok"


def predictions_of(image_captions: list[captions.Caption]) -> Predictions:
  """Returns the response for the captions of a single image."""
  return Predictions(
      predictions=[
          Prediction(
              index=str(index),
              caption=caption.sentence,
              probability=caption.probability,
          )
          for index, caption in enumerate(image_captions)
      ]
  )


def caption_of(caption: captions.Caption) -> Caption:
  """Returns the schema of a caption, with its score and its words."""
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
