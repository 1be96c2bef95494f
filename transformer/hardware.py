"""Where the numbers are computed: a GPU where there is one."""

import torch

from cli import UserError


def choose_device(name="auto"):
    """The torch device for `--device`: cuda where there is one, else Apple's mps, else the cpu."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available.get(name.split(":")[0], False):
        raise UserError(f"--device {name}: this machine has no such device; use one of "
                        + ", ".join(kind for kind, here in available.items() if here))
    return torch.device(name)
