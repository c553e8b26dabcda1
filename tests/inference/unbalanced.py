"""Two unbalanced factors, two covariates and a grouping factor, that R can compute too."""

import numpy as np
import pandas as pd


def table() -> pd.DataFrame:
    i = np.arange(90)
    f = np.array(list("abc"))[(i * i // 3) % 3]
    h = np.array(list("pqrs"))[(i // 2 + i * i // 7) % 4]
    g = (i * 5 // 7) % 12
    x, z = np.cos(2.3 * i), np.sin(0.37 * i * i)
    y = 2 * np.sin(1.7 * i**2) + x * (1 + (f == "b")) + 0.8 * (h == "q") * (f == "c")
    y += np.cos(3.0 * g) + z * np.sin(g)
    return pd.DataFrame({"y": y, "f": f, "h": h, "g": [f"g{k:02d}" for k in g], "x": x, "z": z})


def without_cells(data: pd.DataFrame) -> pd.DataFrame:
    """The rows without two combinations of f and h."""
    cell = data["f"] + data["h"]
    return data[~cell.isin(["bq", "cs"])]
