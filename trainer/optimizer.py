"""AdamW, its learning rate as a function of the step, and averaged weights."""

import math

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from config.schema import Train

Gradients = list[Tensor | None]  # by parameter; None of one that had no part


def make_optimizer(model: nn.Module, options: Train, betas: tuple[float, float] = (0.9, 0.999)) -> AdamW:
    """AdamW (Loshchilov & Hutter 2019); weight decay on weights of more than one axis."""
    trained = trained_parameters(model)
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], lr=options.lr, betas=betas, fused=True)


def trained_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Those that gradients are wanted of."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def learning_rate(step: int, options: Train) -> float:
    """Linear warm-up, then half a cosine down to 1 % of the highest rate."""
    if step < options.warmup:
        return options.lr * (step + 1) / options.warmup
    progress = (step - options.warmup) / max(options.steps - options.warmup, 1)
    return options.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def set_learning_rate(optimizer: AdamW, rate: float) -> None:
    """For all parameters, from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def gradients_of(total: Tensor, parameters: list[nn.Parameter]) -> Gradients:
    """By backward(), which unlike autograd.grad gives each memory of its own, laid out as its parameter."""
    set_gradients(parameters, [[None] * len(parameters)])
    total.backward()
    found: Gradients = [parameter.grad for parameter in parameters]
    set_gradients(parameters, [[None] * len(parameters)])
    return found


def set_gradients(parameters: list[nn.Parameter], batches: list[Gradients]) -> None:
    """The sums of the gradients of some batches, in the first one's memory."""
    first, *others = batches
    for parameter, gradient in zip(parameters, first, strict=True):
        parameter.grad = gradient
    for other in others:
        torch._foreach_add_([x for x in first if x is not None], [x for x in other if x is not None])


def step_if_finite(optimizers: list[AdamW], norms: list[Tensor]) -> None:
    """Step, unless a gradient's norm is not finite; the device decides, and nobody waits for it."""
    infinite = (~torch.stack(norms).isfinite().all()).float()
    for optimizer in optimizers:
        # as GradScaler tells it a fused optimizer
        optimizer.found_inf = infinite  # type: ignore[attr-defined]  # torch declares it nowhere
        optimizer.step()


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move averaged weights towards the model's; a young average forgets its start faster."""
    decay = min(decay, (1 + step) / (10 + step))
    old: list[Tensor] = list(average.parameters())
    new = [parameter.detach() for parameter in model.parameters()]
    torch._foreach_lerp_(old, new, 1 - decay)
