"""The flags of how captions are scored, of all programs that score.

A program adopts them, which lists them in its --help:

    flags.adopt_module_key_flags(metric_flags)
"""

from absl import flags

from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_metrics
from im2txt.evaluation import comparison

METRICS = flags.DEFINE_list(
    "metrics",
    list(comparison.SCORERS),
    f"Some of {', '.join(coco_metrics.SCORERS)}, separated by commas. SPICE"
    " was made for Java 8, and downloads some 400 MB when it is first used.",
)
TOKENIZER = flags.DEFINE_enum(
    "tokenizer",
    "auto",
    caption_tokenizer.TOKENIZERS,
    "What splits captions into words: ptb as the COCO tools do, which needs"
    " Java; rules of Python; auto for ptb if that works.",
)


def check() -> None:
  """Finds what would go wrong after minutes of scoring.

  Raises:
    coco_metrics.JavaError: If the tokenizer needs Java, which is not installed.
    ValueError: If there is no such metric.
  """
  coco_metrics.check_scorers(METRICS.value)
  caption_tokenizer.check(TOKENIZER.value)
