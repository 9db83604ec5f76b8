"""Every method that needs no more than the data, at its default numbers: each file says whose.

`correction.method` is not here: it needs the true T. Co-teaching+ is told 40 % wrong labels.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxrobust.deep import (
    active_passive,
    anchors,
    bootstrapping,
    coteaching_plus,
    cross_entropy,
    dividemix,
    elr,
    elr_plus,
    gce,
    label_smoothing,
    ldr,
    mixup,
    sop,
    sop_plus,
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
    "elr": elr.method,
    "elr_plus": elr_plus.method,
    "sop": sop.method,
    "sop_plus": sop_plus.method,
    "coteaching_plus": lambda task: coteaching_plus.method(task, 0.4),
    "dividemix": dividemix.method,
}
