"""`henderson fit --relationship`: matrices and pedigrees of grouping factors, from files."""

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from command_runs import henderson, refused
from henderson.io.relationship_files import write_grm
from henderson.io.sparse_grm_files import write_sparse_grm

FORMULA = "y ~ 1 + (1 | animal) + (1 | herd)"


@pytest.fixture
def animals(tmp_path, monkeypatch):
    """Records of 60 animals of 80, written as 001, 002, ...; 20 founders have no row in the pedigree."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(8)
    names = [f"{k:03d}" for k in range(1, 81)]
    rows = pd.DataFrame(
        {
            "id": names[20:],
            "sire": rng.choice(names[:10], 60),
            "dam": rng.choice(names[10:20], 60),
        }
    )
    rows.to_csv("pedigree.csv", index=False)
    A = hd.read_pedigree(rows).additive(names).matrix
    u = np.linalg.cholesky(A) @ rng.normal(size=80)
    table = pd.DataFrame({"animal": rng.choice(names[20:], 150), "herd": rng.integers(1, 6, 150)})
    table["dam"] = table["animal"].map(rows.set_index("id")["dam"])
    table["y"] = [u[int(k) - 1] for k in table["animal"]] + rng.normal(size=150)
    table.to_csv("records.csv", index=False)
    return table, rows, hd.RelationshipMatrix.of(A, names)


def effects(path="out.ranef.tsv"):
    table = pd.read_csv(path, sep="\t", dtype={"level": str})
    return table.set_index(["group", "level", "term"])["estimate"]


def test_a_pedigree_whose_names_begin_with_zeros(animals, capfd):
    table, rows, _ = animals
    status, out, err = henderson(
        capfd, "fit", FORMULA, "records.csv", "--relationship", "animal=pedigree.csv", "--out", "out"
    )
    assert status == 0, err
    assert "Relationship of animal: pedigree.csv\n" in out
    assert "pedigree.csv: 20 founders added for parents without a row" in out
    fit = hd.lmer(FORMULA, table, relationship={"animal": hd.read_pedigree(rows)})
    tidy = pd.read_csv("out.tidy.tsv", sep="\t")
    np.testing.assert_allclose(tidy["estimate"], fit.tidy()["estimate"], rtol=1e-8)
    found = effects().loc["animal"]
    assert len(found) == 80  # the founders too, who have no record
    expected = fit.blup("animal").set_index("level")["blup"]
    np.testing.assert_allclose(found.droplevel("term")[expected.index], expected, rtol=0, atol=1e-10)
    assert effects().loc["herd"].droplevel("term").index.tolist() == list("12345")


def test_one_pedigree_for_direct_and_maternal_effects(animals, capfd):
    table, rows, _ = animals
    formula = "y ~ 1 + diag(1 | animal & dam)"
    for key in ("animal & dam", "animal"):
        given = f"{key}=pedigree.csv"
        status, _, err = henderson(
            capfd, "fit", formula, "records.csv", "--relationship", given, "--out", "out"
        )
        assert status == 0, err
        fit = hd.lmer(formula, table, relationship={key: hd.read_pedigree(rows)})
        found = effects().loc["animal & dam"]
        expected = fit.blup().set_index(["level", "effect"])["blup"]
        np.testing.assert_allclose(found[expected.index], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["G.npz", "G.grm.bin", "G", "S.grm.sp", "S"])
def test_matrices_by_the_name_of_the_file(animals, capfd, name):
    table, rows, A = animals
    if name.startswith("S"):
        write_sparse_grm(hd.make_sparse(A, 0.0), "S.grm.sp")
    else:
        write_grm(A, "G.npz" if name == "G.npz" else "G.grm.bin")
    status, _, err = henderson(
        capfd, "fit", FORMULA, "records.csv", "--relationship", f"animal={name}", "--out", "out"
    )
    assert status == 0, err
    fit = hd.lmer(FORMULA, table, relationship={"animal": hd.read_pedigree(rows)})
    expected = fit.blup("animal").set_index("level")["blup"]
    found = effects().loc["animal"].droplevel("term")
    np.testing.assert_allclose(found[expected.index], expected, rtol=0, atol=1e-5)  # .grm.bin has 7 digits


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["pedigree.csv"], "'pedigree.csv' is not a grouping factor and a file, as in iid=cohort.grm.bin"),
        (["=pedigree.csv"], "is not a grouping factor and a file"),
        (["animal="], "is not a grouping factor and a file"),
        (["animal=pedigree.csv", "animal=p.csv"], "the grouping factor 'animal' more than once"),
        (["anmial=pedigree.csv"], "did you mean 'animal'?"),
        (["animal=pedigre.csv"], "There is no file pedigre.csv; did you mean pedigree.csv?"),
        (["animal=records.csv"], "records.csv has no column with a usual name of the sire"),
        (["animal=G.cXX.txt"], "G.cXX.txt does not say who its rows are"),
        (["animal=loop.csv"], "is its own ancestor"),
        (["animal=others.csv"], "levels of 'animal' are not in its relationship matrix"),
    ],
)
def test_mistakes(animals, capfd, given, sentence):
    with open("loop.csv", "w") as file:
        file.write("id,sire,dam\na,b,0\nb,a,0\n")
    with open("others.csv", "w") as file:
        file.write("id,sire,dam\na,b,c\n")
    said = refused(capfd, "fit", FORMULA, "records.csv", "--out", "out", "--relationship", *given)
    assert sentence in said


def test_no_table_of_tests_where_the_intercept_stands_alone(animals, capfd):
    status, out, err = henderson(capfd, "fit", FORMULA, "records.csv", "--anova")
    assert status == 0, err
    assert "F tests of the terms (type III):\nnone: no term beside the intercept\n" in out
