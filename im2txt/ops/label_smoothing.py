"""Label smoothing (Szegedy et al., arXiv 1512.00567, section 7).

The target is no longer the next word alone: of its probability 1, a share goes
to all words of the vocabulary alike, rows without a word included.
"""

import tensorflow as tf


def smoothed_losses(
    word_losses: tf.Tensor,
    logits: tf.Tensor,
    targets: tf.Tensor,
    *,
    label_smoothing: float,
) -> tf.Tensor:
  """The cross-entropy of each word against its smoothed target.

  With z the logits, y the target and L its loss, log(sum(exp(z))) - z[y], it is
  (1 - s) * L + s * (log(sum(exp(z))) - mean(z)) = L + s * (z[y] - mean(z)).

  Args:
    word_losses: A float32 Tensor of shape [num_words]; the unsmoothed losses.
    logits: A float32 Tensor of shape [num_words, vocab_size].
    targets: An integer Tensor of shape [num_words].
    label_smoothing: The share s that is spread; if 0, nothing is computed.

  Returns:
    A float32 Tensor of shape [num_words].
  """
  if not label_smoothing:
    return word_losses
  target_logits = tf.gather(logits, targets, batch_dims=1)
  return word_losses + label_smoothing * (
      target_logits - tf.reduce_mean(logits, axis=1)
  )
