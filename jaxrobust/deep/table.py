"""Every method that needs no more than the data, with its paper's values (of CIFAR-10).

`correction.method` is not here: it needs the true T.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxrobust.deep import (
    active_passive,
    anchors,
    bootstrapping,
    cross_entropy,
    gce,
    label_smoothing,
    ldr,
    mixup,
    symmetric,
)
from jaxrobust.deep.method import Method, Task

METHODS: dict[str, Callable[[Task], Method]] = {
    "cross_entropy": cross_entropy.method,
    "label_smoothing": label_smoothing.method,
    "gce": gce.method,
    "truncated_gce": gce.truncated_method,
    "symmetric": symmetric.method,
    "active_passive": active_passive.method,
    "bootstrap_soft": bootstrapping.method,
    "bootstrap_hard": lambda task: bootstrapping.method(task, 0.8, bootstrapping.hard),
    "forward_estimated": anchors.forward_estimated,
    "ldr": ldr.method,
    "aldr": ldr.adaptive_method,
    "mixup": mixup.method,
}
