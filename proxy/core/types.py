"""Types used everywhere."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
Message = dict[str, Any]

IntegerArray = NDArray[np.signedinteger[Any]]
