"""Tables to formulas: categories, ranks, cases and controls."""

import string

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_runs import write_table
from henderson.cli.traits import check_names, read_traits, trait_name
from henderson.errors import DataError
from henderson.formula import build_design
from henderson.io.trait_coding import rint


class Told:
    """Stands for the reporter: remembers what is said."""

    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)

    def known(self, texts):
        pass

    def about(self, name):
        return [text for text in self.lines if text.startswith(f"{name}: ")]


N = 40


@pytest.fixture
def folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    people = pd.DataFrame({"FID": np.arange(N), "IID": [f"i{k}" for k in range(N)]})
    cc = rng.integers(0, 2, N).astype(float)
    cc[3] = np.nan
    height = rng.normal(size=N)
    height[4] = np.nan
    traits = people.assign(height=height, cc=cc, plink=rng.integers(1, 3, N), dose=np.arange(N) % 3)
    write_table(traits.astype({"plink": str, "dose": str}), tmp_path / "pheno.txt")
    covariates = people.assign(
        age=rng.integers(20, 70, N), batch=rng.choice([2, 10, 30], N), site=rng.choice(["b", "a"], N)
    )
    covariates["age"] = covariates["age"].where(np.arange(N) > 2)
    write_table(covariates, tmp_path / "covar.txt")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(pheno="pheno.txt", **options):
    told = Told()
    options = {"pheno_name": None, "covar": None, "covar_name": None} | options
    table, formulas = read_traits(pheno, told, **options)
    return table, formulas, told


def test_numbers_as_categories(folder):
    table, [formula], told = read(
        pheno_name=["height"], covar="covar.txt", covar_name=["age"], cat_covar=["batch,site"]
    )
    assert formula == "height ~ 1 + age + factor(batch) + site"
    assert told.about("batch") == ["batch: its numbers are 3 categories"]
    assert told.about("site") == []
    frame = table.columns.assign(g=np.arange(N) % 4)
    design = build_design(f"{formula} + (1 | g)", frame)
    assert design.x_names == ("(Intercept)", "age", "factor(batch)10", "factor(batch)30", "siteb")
    batch = pd.read_csv("covar.txt", sep="\t")["batch"].to_numpy()[design.rows]
    np.testing.assert_array_equal(design.X[:, 2], batch == 10)


def test_interactions_with_numbers_as_categories(folder):
    """A formula has them as it has the covariate."""
    options = {"covar": "covar.txt", "covar_name": ["age"], "cat_covar": ["batch"]}
    _, [formula], _ = read(pheno_name=["height"], interaction=["batch", "age"], **options)
    assert formula == "height ~ 1 + age + factor(batch) + snp:factor(batch) + snp:age"
    with pytest.raises(DataError, match="no covariate 'site'; it has 'age', 'batch'"):
        read(pheno_name=["height"], interaction=["site"], **options)


def test_without_covar_name_all_columns_are_covariates(folder):
    _, [formula], _ = read(pheno_name=["height"], covar="covar.txt", cat_covar=["batch"])
    assert formula == "height ~ 1 + age + factor(batch) + site"


def test_minus_nine_among_categories_is_said(folder):
    covariates = pd.read_csv("covar.txt", sep="\t")
    covariates.loc[:1, "batch"] = -9
    write_table(covariates, folder / "covar.txt")
    _, _, told = read(covar="covar.txt", cat_covar=["batch"])
    assert told.about("batch") == [
        "batch: its numbers are 4 categories, -9 of 2 people among them; write NA where it is missing"
    ]


def test_ranks_among_the_people_with_covariates(folder):
    table, [formula], _ = read(pheno_name=["height"], covar="covar.txt", covar_name=["age"], apply_rint=True)
    assert formula == "rint(height) ~ 1 + age"
    frame = table.columns.assign(g=np.arange(N) % 4)
    design = build_design(f"{formula} + (1 | g)", frame)
    assert len(design.y) == N - 4
    np.testing.assert_array_equal(design.y, rint(frame["height"][design.rows]))


def test_names_that_need_quotes_are_ranked_too(folder):
    table = pd.read_csv("pheno.txt", sep="\t").rename(columns={"height": "body-height"})
    write_table(table, folder / "pheno.txt")
    _, [formula], _ = read(pheno_name=["body-height"], apply_rint=True)
    assert formula == "rint(`body-height`) ~ 1"
    assert trait_name(formula.split(" ~ ")[0]) == "body-height"


@given(st.text(string.ascii_letters + "() +-.", min_size=1, max_size=12))
def test_the_name_of_a_ranked_trait_is_found_again(name):
    quoted = name if name.isidentifier() else f"`{name}`"
    assert trait_name(f"rint({quoted})") == name


@pytest.mark.parametrize(
    "response", ["log(height)", "rint(log(height))", "rint(`a` + `b`)", "height", "rint()"]
)
def test_other_responses_keep_their_names(response):
    assert trait_name(response) == response


def test_two_values_are_told_and_not_ranked(folder):
    table, formulas, told = read(apply_rint=True)
    assert formulas == ["rint(height) ~ 1", "cc ~ 1", "plink ~ 1", "rint(dose) ~ 1"]
    given = pd.read_csv("pheno.txt", sep="\t")
    cases, controls = int((given["cc"] == 1).sum()), int((given["cc"] == 0).sum())
    said = told.about("cc")
    assert f"{cases} cases and {controls} controls in pheno.txt, analysed as" in said[1]
    assert said[2] == "cc: --apply-rint leaves a trait of two values as it is"
    np.testing.assert_array_equal(table.columns["plink"], given["plink"] - 1)
    assert "coded 2 and 1 as in PLINK" in told.about("plink")[0]
    np.testing.assert_array_equal(table.columns["dose"], given["dose"])
    assert "0, 1 and 2 are used as numbers" in told.about("dose")[0]


@pytest.mark.parametrize("name", ["small.fam", "small.fam.gz"])
def test_a_fam_file_has_plinks_coding(tmp_path, name):
    import gzip

    lines = "".join(f"f i{k} 0 0 1 {v}\n" for k, v in enumerate([1, 2, 0, -9, 2, 1]))
    data = lines.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    table, formulas, told = read(str(tmp_path / name))
    assert formulas == ["phenotype ~ 1"]
    np.testing.assert_array_equal(table.columns["phenotype"], [0, 1, np.nan, np.nan, 1, 0])
    [missing, coded] = told.about("phenotype")
    assert "1 value, written -9, read as missing" in missing
    assert "2 cases and 2 controls" in coded
    assert "(1 of 0 read as missing)" in coded


def test_the_response_of_a_formula_is_coded_too(folder):
    table, formulas, told = read(formula="plink ~ dose + (1 | FID)")
    assert formulas == ["plink ~ dose + (1 | FID)"]
    assert set(table.columns["plink"]) == {0.0, 1.0}
    assert told.about("dose") == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cat_covar": ["batch"]}, "--cat-covar needs --covar"),
        ({"covar": "c", "cat_covar": ["batch"], "formula": "y ~ 1"}, r"factor\(\) around"),
        ({"apply_rint": True, "formula": "y ~ 1"}, r"write rint\(height\)"),
    ],
)
def test_options_that_do_not_go_together(options, said):
    with pytest.raises(DataError, match=said):
        check_names(**{"pheno_name": None, "covar": None, "covar_name": None} | options)


def test_a_category_that_is_not_there(folder):
    with pytest.raises(
        DataError, match=r"--cat-covar: covar\.txt has no column 'bach'; did you mean 'batch'"
    ):
        read(covar="covar.txt", cat_covar=["bach"])


def test_one_file_for_both_needs_the_columns_of_each(folder):
    with pytest.raises(DataError, match="--pheno and --covar are both"):
        read(covar="pheno.txt", cat_covar=["dose"])
    _, formulas, _ = read(pheno_name=["height"], covar="pheno.txt", cat_covar=["dose"], covar_name=["cc"])
    assert formulas == ["height ~ 1 + cc + factor(dose)"]


VALUES = st.sampled_from(["0", "1", "2", "-9", "NA", "1.0", "3", "", "x", "1e3", "-9.0"])


@given(st.lists(VALUES, min_size=1, max_size=12), st.booleans(), st.booleans())
def test_any_column_gives_a_formula_or_is_refused(tmp_path_factory, values, fam, ranked):
    path = tmp_path_factory.mktemp("any") / ("t.fam" if fam else "t.csv")
    if fam:
        lines = [f"f i{k} 0 0 1 {value or 'NA'}" for k, value in enumerate(values)]
    else:
        lines = ["IID,y", *(f"i{k},{value}" for k, value in enumerate(values))]
    path.write_text("\n".join(lines) + "\n")
    try:
        table, [formula], told = read(str(path), apply_rint=ranked)
    except DataError:
        return
    column = table.columns[table.columns.columns[0]]
    two_valued = set(column.dropna()) == {0.0, 1.0}
    assert formula.startswith("rint(") == (ranked and not two_valued)
    assert any("cases" in line or "case and" in line for line in told.lines) == two_valued
