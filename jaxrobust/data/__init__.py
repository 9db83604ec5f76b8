"""Real data, read from the files that their publishers give out; no pickle is ever run.

`adult` reads a folder that you name, or the one that the environment variable JAXROBUST_DATA
names; without either it raises `MissingData`, which says what to get and where. `digits` comes with
scikit-learn. `scaling` standardises by training rows only.
"""

from jaxrobust.data.adult import Adult, adult
from jaxrobust.data.digits import Digits, digits
from jaxrobust.data.place import FOLDER, MissingData
from jaxrobust.data.scale import Scaling, scaling

__all__ = ["FOLDER", "Adult", "Digits", "MissingData", "Scaling", "adult", "digits", "scaling"]
