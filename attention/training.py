"""The loop that trains every model of this chapter: AdamW, a black box until chapter optimization.

New since the last chapter: it stands once, and each script says only what a batch and its loss are.
"""

import torch
from tqdm import tqdm


def rise_and_fall(step, steps):
    """The share of the learning rate at a step: it rises for 50 steps, then falls to 0 in a straight line."""
    return min(1, (step + 1) / 50) * (1 - step / steps)


def adamw_steps(model, loss_of, steps, learning_rate, name, share=rise_and_fall, betas=(0.9, 0.95), watch=None):
    """Trains; returns the losses. loss_of(step) draws a batch and gives its loss in nats.

    watch(step, losses), where given, is called after each step, with how many have been taken.
    """
    losses = []
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=betas, weight_decay=0.0)
    for step in tqdm(range(steps), desc=name, unit="step", smoothing=0.05, leave=False, disable=None):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * share(step, steps)
        loss = loss_of(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if watch:
            watch(step + 1, losses)
    return losses
