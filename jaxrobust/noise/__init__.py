"""What corrupts: samplers of label noise and gross errors, each with its exact law.

Every sampler is pure and un-batched: `(key, data, numbers) -> corrupted data`. vmap it over keys
and over rates, which are traced numbers; arguments that set a shape (`classes`) and flags are
static under jit. The law in each docstring is given for independent examples; one key gives one
result, and where a sampler takes a rate, the same key at a higher rate corrupts the same places
and more unless its docstring says otherwise, so that sweeps over rates are paired. Bad input
raises a ValueError that names the argument, the value and the cure. Values under a trace cannot
be read: there a rate below 0 acts as 0, above 1 as 1, and NaN corrupts nothing.
"""

from jaxrobust.noise.adversary import adversarial
from jaxrobust.noise.annotators import majority, majority_error, panel
from jaxrobust.noise.classes import asymmetric, pair, symmetric, transition
from jaxrobust.noise.images import random_impulses, salt_and_pepper
from jaxrobust.noise.instance import instance_dependent, instance_rows
from jaxrobust.noise.matrices import (
    CIFAR10_TARGETS,
    CIFAR100_TARGETS,
    MNIST_TARGETS,
    asymmetric_matrix,
    cifar10_matrix,
    cifar100_matrix,
    pair_matrix,
    symmetric_matrix,
)
from jaxrobust.noise.preferences import bradley_terry, flip_preferences
from jaxrobust.noise.signs import flip, massart, positive_unlabelled, tsybakov, tsybakov_rate
from jaxrobust.noise.targets import gross_errors

__all__ = [
    "CIFAR10_TARGETS",
    "CIFAR100_TARGETS",
    "MNIST_TARGETS",
    "adversarial",
    "asymmetric",
    "asymmetric_matrix",
    "bradley_terry",
    "cifar10_matrix",
    "cifar100_matrix",
    "flip",
    "flip_preferences",
    "gross_errors",
    "instance_dependent",
    "instance_rows",
    "majority",
    "majority_error",
    "massart",
    "pair",
    "pair_matrix",
    "panel",
    "positive_unlabelled",
    "random_impulses",
    "salt_and_pepper",
    "symmetric",
    "symmetric_matrix",
    "transition",
    "tsybakov",
    "tsybakov_rate",
]
