"""Refuses graphs that do more than compute.

A graph is a program of whoever made it, and TensorFlow has operations that read
and write files, call Python or other machines, or end the process. A model that
captions images needs none of them.
"""

import re

import tensorflow as tf

_HARMFUL = re.compile(
    # Files: their contents, names, records, checkpoints, and what is printed or
    # summarized, which may go to a file.
    r".*(File|Reader|Dataset|Iterator|Save|Restore|Checkpoint).*"
    r"|.*(Summary|Print|Debug).*"
    r"|ImmutableConst|RecordInput|LoadAndRemapMatrix|GenerateVocabRemapping"
    r"|FixedUnigramCandidateSampler|Copy|CopyHost"
    # Python; other machines; the end of the process; what is internal.
    r"|.*PyFunc.*|.*(Rpc|Remote|Send|Recv|Collective).*|Abort|_.*"
)


def check(graph_def: tf.compat.v1.GraphDef) -> None:
  """Checks that a graph only computes, before anything of it is run.

  Args:
    graph_def: The graph, without what is not needed of it.

  Raises:
    ValueError: If it has an operation that does something else.
  """
  nodes = [*graph_def.node]
  for function in graph_def.library.function:
    nodes += function.node_def
  for node in nodes:
    if _HARMFUL.fullmatch(node.op):
      raise ValueError(
          f"It has the operation {node.op}, called {node.name}, which does more"
          " than compute: it may read or write files, or run other programs."
      )
