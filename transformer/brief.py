"""A moment of training for the small models of the families: AdamW, the tables of tokens ahead of the rest.

New since gpt2.py's train_briefly: a row of a table moves only when its token occurs, so tables take larger steps; the
learning rate rises first, without which a norm behind the sum does not learn. train.py is the loop for real runs.
"""

import torch


def train_small(model, tables, loss_of, steps, learning_rate, table_rate, warmup, **adamw):
    """`steps` steps; loss_of(step) draws a batch and gives its loss in nats. Returns the losses.

    tables: the parameters that take steps `table_rate` times as large. The rate rises for `warmup` steps, then falls to 0.
    adamw: what torch.optim.AdamW takes besides.
    """
    losses, chosen = [], {id(p) for p in tables}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    optimizer = torch.optim.AdamW([{"params": tables, "rate": table_rate}, {"params": rest, "rate": 1}], **adamw)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * learning_rate * min(1, (step + 1) / warmup) * (1 - step / steps)
        loss = loss_of(step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses
