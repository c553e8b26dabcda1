"""Worked examples of Mrode (2014), Linear Models for the Prediction of Animal Breeding Values, 3rd ed.

Their variances are given, so that the search is held where it starts. Fixed effects are compared by estimable
differences, as the book sets other levels to zero.
"""

import numpy as np
import pandas as pd
import pytest

import henderson as hd

HELD = hd.Control(max_iterations=0)


def lower(S):
    """The lower triangle of the Cholesky factor, column by column: theta."""
    T = np.linalg.cholesky(np.atleast_2d(S))
    cols, rows = np.triu_indices(len(T))
    return T[rows, cols]


def pedigree(rows):
    return hd.read_pedigree(pd.DataFrame(rows, columns=["id", "sire", "dam"]).astype(str))


def held(formula, data, relationship, theta, **arguments):
    return hd.lmer(formula, data, relationship=relationship, start=theta, control=HELD, **arguments)


def modes(fit, group, names, column=0):
    return fit.ranef()[group].loc[[str(n) for n in names]].iloc[:, column].to_numpy()


def test_example_4_1_repeatability():
    known = pedigree([(4, 1, 2), (5, 3, 2), (6, 1, 5), (7, 3, 4), (8, 1, 7), (1, 0, 0), (2, 0, 0), (3, 0, 0)])
    cow = np.repeat([4, 5, 6, 7, 8], 2).astype(str)
    data = pd.DataFrame(
        {
            "animal": cow,
            "cow": cow,
            "parity": ["1", "2"] * 5,
            "hys": ["1", "3", "1", "4", "2", "3", "1", "3", "2", "4"],
            "fat": [201.0, 280, 150, 200, 160, 190, 180, 250, 285, 300],
        }
    )
    fit = held(
        "fat ~ parity + hys + (1 | animal) + (1 | cow)",
        data,
        {"animal": known},
        np.sqrt([20 / 28, 12 / 28]),
    )
    breeding = [10.148, -3.084, -7.063, 13.581, -18.207, -18.387, 9.328, 24.194]
    assert modes(fit, "animal", range(1, 9)) == pytest.approx(breeding, abs=1.1e-3)
    permanent = [8.417, -7.146, -17.229, -1.390, 17.347]
    assert modes(fit, "cow", range(4, 9)) == pytest.approx(permanent, abs=1.1e-3)
    assert fit.fixef["hys2"] == pytest.approx(44.065, abs=1e-3)
    # every record of parity 1 is in hys 1 or 2, and of parity 2 in 3 or 4
    parity_1 = fit.predict({"parity": ["1"], "hys": ["1"]}, random="none")
    assert parity_1[0] == pytest.approx(175.472, abs=1e-3)


def test_example_5_1_two_traits():
    known = pedigree([(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 1, 0), (5, 3, 2), (6, 1, 2), (7, 4, 5), (8, 3, 6)])
    calves, sex = ["4", "5", "6", "7", "8"], ["m", "f", "f", "m", "m"]
    data = pd.DataFrame(
        {
            "animal": calves * 2,
            "sex": sex * 2,
            "trait": pd.Categorical(["wwg"] * 5 + ["pwg"] * 5, categories=["wwg", "pwg"]),
            "gain": [4.5, 2.9, 3.9, 3.5, 5.0, 6.8, 5.0, 6.8, 6.0, 7.5],
        }
    )
    G, R = np.array([[20.0, 18], [18, 40]]), np.array([[40.0, 11], [11, 30]])
    theta = np.concatenate([lower(G / 40), lower(R / 40)[1:]])
    fit = held("gain ~ 0 + trait:sex + (0 + trait | animal)", data, {"animal": known}, theta)
    first = [0.151, -0.015, -0.078, -0.010, -0.270, 0.276, -0.316, 0.244]
    second = [0.280, -0.008, -0.170, -0.013, -0.478, 0.517, -0.479, 0.392]
    assert modes(fit, "animal", range(1, 9), 0) == pytest.approx(first, abs=1e-3)
    assert modes(fit, "animal", range(1, 9), 1) == pytest.approx(second, abs=1e-3)
    expected = {"wwg:m": 4.361, "wwg:f": 3.397, "pwg:m": 6.800, "pwg:f": 5.880}
    for cell, value in expected.items():
        trait, own = cell.split(":")
        found = fit.predict({"trait": [trait], "sex": [own]}, random="none")[0]
        assert found == pytest.approx(value, abs=1e-3)


def test_example_7_1_maternal_effects():
    known = pedigree(
        [
            *[(1, 0, 0), (2, 0, 0), (3, 0, 0), (4, 0, 0), (5, 1, 2), (6, 3, 2), (7, 4, 6), (8, 3, 5)],
            *[(9, 1, 6), (10, 3, 2), (11, 3, 7), (12, 8, 7), (13, 9, 2), (14, 3, 6)],
        ]
    )
    dams = [2, 2, 6, 5, 6, 2, 7, 7, 2, 6]
    data = pd.DataFrame(
        {
            "animal": [str(i) for i in range(5, 15)],
            "dam": [str(d) for d in dams],
            "mother": [str(d) for d in dams],
            "herd": list("1111222333"),
            "pen": list("1221122212"),
            "weight": [35.0, 20, 25, 40, 42, 22, 35, 34, 20, 40],
        }
    )
    G = np.array([[150.0, -40], [-40, 90]])
    theta = np.concatenate([lower(G / 350), np.sqrt([40 / 350])])
    fit = held(
        "weight ~ herd + pen + (1 | animal & dam) + (1 | mother)", data, {"animal & dam": known}, theta
    )
    direct = [0.564, -1.244, 1.165, -0.484, 0.630, -0.859, -1.156, 1.917, -0.553, -1.055, 0.385, 0.863]
    direct += [-2.980, 1.751]
    maternal = [0.262, -1.583, 0.736, 0.586, -0.507, 0.841, 1.299, -0.158, 0.660, -0.153, 0.916, 0.442]
    maternal += [0.093, 0.362]
    assert modes(fit, "animal & dam", range(1, 15), 0) == pytest.approx(direct, abs=1e-3)
    assert modes(fit, "animal & dam", range(1, 15), 1) == pytest.approx(maternal, abs=1e-3)
    assert modes(fit, "mother", [2, 5, 6, 7]) == pytest.approx([-1.701, 0.415, 0.825, 0.461], abs=1e-3)
    assert fit.fixef["herd2"] == pytest.approx(33.950 - 30.563, abs=1.1e-3)
