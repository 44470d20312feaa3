"""The flags of caption metrics, for all programs that score captions.

A program adopts them, so that its --help lists them:

    flags.adopt_module_key_flags(metric_flags)
"""

from absl import flags

from im2txt.evaluation import caption_tokenizer
from im2txt.evaluation import coco_metrics
from im2txt.evaluation import comparison

METRICS = flags.DEFINE_list(
    "metrics",
    list(comparison.SCORERS),
    "Metrics to compute, separated by commas:"
    f" {', '.join(coco_metrics.SCORERS)}. SPICE needs Java 8, and downloads"
    " about 400 MB at its first use.",
)
TOKENIZER = flags.DEFINE_enum(
    "tokenizer",
    "auto",
    caption_tokenizer.TOKENIZERS,
    "Tokenizer of the captions: ptb, that of the COCO tools, which needs Java;"
    " python, similar rules without Java; or auto, which is ptb if Java can run"
    " it.",
)


def check() -> None:
  """Checks the flags before minutes of scoring.

  Raises:
    coco_metrics.JavaError: If the tokenizer needs Java, but Java is missing.
    ValueError: If a metric is unknown.
  """
  coco_metrics.check_scorers(METRICS.value)
  caption_tokenizer.check(TOKENIZER.value)
