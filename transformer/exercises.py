"""The chapter's exercises, to be written here. The README says what each is about.

    python transformer/exercises.py                       which of them pass
    pytest tests/test_transformer.py --mine -k answers    the same, with pytest's reports
"""

import sys

from checks import CHECKS, run_checks


def windowed_attention(q, k, v, window):
    """Causal attention in which position t sees itself and the window - 1 positions before it, and no others.

    q, k, v: (B, H, T, D); returns (B, H, T, D). A window of T or more is ordinary causal attention
    (causal_attention in model.py). Mistral 7B (2023) works like this, with a window of 4,096.
    """
    raise NotImplementedError


def from_interleaved(weight, heads):
    """Reorders the rows of a q_proj or k_proj whose model turns neighbors, for one that turns halves.

    weight: (heads * D, C). The pairs that the old model turns are its numbers (2 i, 2 i + 1) of each head
    (so did the first Llama), those of model.py are (i, i + D / 2). Returns a weight of the same shape with
    which model.py finds the same scores. Any loader of foreign weights must know this.
    """
    raise NotImplementedError


def to_grouped(weight, heads, kv_heads):
    """The k_proj or v_proj of a model with `heads` key heads, for one with fewer: the mean of those that will share.

    weight: (heads * D, C); returns (kv_heads * D, C). Query heads 0 … heads / kv_heads - 1 share the first one, and so
    on, as in model.py. So older models were turned into grouped ones, before a little more training (Ainslie et al., 2023).
    """
    raise NotImplementedError


def words_to_tell(ids, mask, rng):
    """BERT's question: 15 % of the ids, rounded, are asked for. Returns inputs and targets, both (T,) int64.

    targets: the id where it is asked for, -1 elsewhere. Of those asked for, in inputs, about 80 % are `mask`, 10 % any id
    below `mask`, 10 % what they were; all others stay. ids: (T,) int64, all below `mask`, which is the number of ordinary
    ids; rng: a numpy.random.Generator. `ids` itself is left alone.
    """
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(run_checks(sys.modules[__name__], CHECKS))
