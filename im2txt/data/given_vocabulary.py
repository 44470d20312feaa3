"""Takes the vocabulary of a model for other data."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from im2txt.data import caption_dataset
from im2txt.data import word_counts
from im2txt.runtime import whole_file


def take(
    vocab_file: str,
    copy: str,
    datasets: Mapping[str, Sequence[caption_dataset.TokenizedImage]],
    say: Callable[[str], None],
) -> word_counts.WordIds:
  """Copies a vocabulary, and says how much of the captions it knows.

  Args:
    vocab_file: The vocabulary.
    copy: Where to copy it to.
    datasets: The images of each split.
    say: Called with each line of the report.

  Returns:
    The ids of the vocabulary.

  Raises:
    FileNotFoundError: If there is no such vocabulary.
    ValueError: If it can't be used; see `vocabulary.Vocabulary`.
  """
  # Here, so that nobody waits for TensorFlow who has no need of it.
  from im2txt.inference_utils import vocabulary

  known = vocabulary.Vocabulary(vocab_file)
  content = Path(vocab_file).read_bytes()
  with whole_file.create(copy) as file:
    file.write(content)
  for name, images in datasets.items():
    words = [w for image in images for said in image.captions for w in said]
    num_unknown = sum(word not in known.vocab for word in words)
    say(
        f"{num_unknown} of {len(words)} words of {name}"
        f" ({num_unknown / len(words):.1%}) are not in the vocabulary."
    )
  return word_counts.WordIds(known.vocab)
