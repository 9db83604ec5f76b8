"""Real data, read from the files that their publishers give out; no pickle is ever run.

Each reader but `digits`, which comes with scikit-learn, reads a folder that you name, or the one
that the environment variable JAXROBUST_DATA names; without either it raises `MissingData`, which
says what to get and where.

- Pictures: `cifar10`, `cifar100`, `fashion_mnist`, `mnist`, `digits`.
- What people answered: `cifar10n`, `cifar10h`, `cifar100n` for CIFAR, `crowd` for fourteen
  crowdsourced sets.
- Tables: `adult`.
- Features: `random_patches` of pictures, frozen; `scaling` standardises by training rows only.
"""

from jaxrobust.data.adult import Adult, adult
from jaxrobust.data.cifar import cifar10, cifar100
from jaxrobust.data.crowd import SETS, Crowd, crowd
from jaxrobust.data.digits import Digits, digits
from jaxrobust.data.images import Images
from jaxrobust.data.mnist import fashion_mnist, mnist
from jaxrobust.data.patches import RandomPatches, random_patches
from jaxrobust.data.people import CIFAR10N, CIFAR100N, cifar10h, cifar10n, cifar100n
from jaxrobust.data.place import FOLDER, MissingData
from jaxrobust.data.scale import Scaling, scaling

__all__ = [
    "CIFAR10N",
    "CIFAR100N",
    "FOLDER",
    "SETS",
    "Adult",
    "Crowd",
    "Digits",
    "Images",
    "MissingData",
    "RandomPatches",
    "Scaling",
    "adult",
    "cifar10",
    "cifar10h",
    "cifar10n",
    "cifar100",
    "cifar100n",
    "crowd",
    "digits",
    "fashion_mnist",
    "mnist",
    "random_patches",
    "scaling",
]
