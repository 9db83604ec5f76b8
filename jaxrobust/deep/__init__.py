"""Networks on noisy labels: the methods of the field on one training loop.

`fit(keys, method, data, plan)` is a whole run as one pure function; `long_run` is the same one
reading at a time, with progress and checkpoints. A method is four functions that its file makes
from a `Task`: `elr.method(task, lam=3.0)`; losses alone (`gce.loss`) fit any optax loop.

- One network: `cross_entropy`, `label_smoothing`, `gce`, `symmetric`, `bootstrapping`,
  `correction` (forward, backward), `anchors` (with their matrix estimated), `ldr`,
  `active_passive`, `mixup`, `elr`, `sop`, `sop_plus`; `explicit` puts a penalty in SOP's place.
- Two: `elr_plus`, `coteaching_plus`, `dividemix`. `table.METHODS` lists all that need only data.
- `nets`, `resnet` make networks, `optimiser` step sizes, `augment` views of pictures; `protocol`
  says which epoch a table shows, `suspects` which labels look wrong, `scores` how early that
  shows, `theory` and `gaussians` what should happen.
"""

from jaxrobust import _checkpoint as checkpoint
from jaxrobust.deep import (
    active_passive,
    anchors,
    augment,
    bootstrapping,
    correction,
    coteaching_plus,
    cross_entropy,
    dividemix,
    elr,
    elr_plus,
    explicit,
    gaussians,
    gce,
    gmm,
    label_smoothing,
    ldr,
    mixup,
    nets,
    optimiser,
    protocol,
    resnet,
    scores,
    sop,
    sop_plus,
    suspects,
    symmetric,
    table,
    theory,
)
from jaxrobust.deep.long import long_run
from jaxrobust.deep.method import Batch, Info, Method, Network, Task, Weights, Whole
from jaxrobust.deep.sets import Data, Labelled
from jaxrobust.deep.train import Keys, Plan, Reading, classes, fit, many, probabilities

__all__ = [
    "Batch",
    "Data",
    "Info",
    "Keys",
    "Labelled",
    "Method",
    "Network",
    "Plan",
    "Reading",
    "Task",
    "Weights",
    "Whole",
    "active_passive",
    "anchors",
    "augment",
    "bootstrapping",
    "checkpoint",
    "classes",
    "correction",
    "coteaching_plus",
    "cross_entropy",
    "dividemix",
    "elr",
    "elr_plus",
    "explicit",
    "fit",
    "gaussians",
    "gce",
    "gmm",
    "label_smoothing",
    "ldr",
    "long_run",
    "many",
    "mixup",
    "nets",
    "optimiser",
    "probabilities",
    "protocol",
    "resnet",
    "scores",
    "sop",
    "sop_plus",
    "suspects",
    "symmetric",
    "table",
    "theory",
]
