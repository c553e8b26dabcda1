"""Cross-validation of GBLUP against dense BLUP by hand."""

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.genotype import ArraySource, Samples
from henderson.inference.cross_validation import MEASURES, cross_validate
from plink_files import random_genotypes

N, M = 80, 60


def relatives(n=N):
    source = ArraySource.of(random_genotypes(M, n, seed=4))
    people = Samples(source.samples.fid, np.char.add("p", source.samples.iid))
    return hd.grm(ArraySource(source.calls, people, source.variants)), source


def records(*, repeats=1, n=N, seed=1):
    G, source = relatives(n)
    rng = np.random.default_rng(seed)
    u = source.calls.T.astype(float) @ rng.normal(size=M) * 0.25
    row = np.repeat(np.arange(n), repeats)
    age = rng.normal(size=row.size)
    y = 3.0 + 0.5 * age + u[row] + rng.normal(size=row.size)
    family = np.array([f"f{i // 8}" for i in range(n)])[row]
    return G, pd.DataFrame({"iid": G.samples.iid[row], "age": age, "family": family, "y": y})


def kernel(data, G):
    """Z G Z'."""
    Z = (data["iid"].to_numpy()[:, None] == G.samples.iid).astype(float)
    return Z @ G.matrix @ Z.T


def by_hand(found, data, X, kernels, ratios):
    """Prediction of every record from those of the other folds, with V formed; the ratios by fold."""
    y, fold = data["y"].to_numpy(), found.predictions["fold"].to_numpy()
    fixed, random = np.zeros(len(y)), np.zeros(len(y))
    for number in np.unique(fold):
        out, rest = fold == number, fold != number
        K = sum(r * each for r, each in zip(ratios[number], kernels, strict=True))
        V = np.eye(rest.sum()) + K[np.ix_(rest, rest)]
        Vi_X = np.linalg.solve(V, X[rest])
        beta = np.linalg.solve(X[rest].T @ Vi_X, Vi_X.T @ y[rest])
        random[out] = K[np.ix_(out, rest)] @ np.linalg.solve(V, y[rest] - X[rest] @ beta)
        fixed[out] = X[out] @ beta
    return fixed, random


def ratios_without(formula, data, G, folds):
    """Variances over that of the residual, of iid and then the others, without each fold."""
    found = {}
    for number, rows in folds.items():
        fit = hd.lmer(formula, data.drop(index=rows), relationship={"iid": G})
        variances = {term.group: term.covariance[0, 0] / fit.sigma**2 for term in fit.varcorr}
        found[number] = [variances.pop("iid"), *variances.values()]
    return found


@pytest.mark.parametrize("components", ["refit", "held"])
def test_equals_dense_blup(components):
    G, data = records()
    found = cross_validate(
        "y ~ age + (1 | iid)", data, relationship={"iid": G}, folds=4, components=components
    )
    fold = found.predictions["fold"].to_numpy()
    none = np.array([], dtype=int)
    rows = {k: np.flatnonzero(fold == k) if components == "refit" else none for k in range(1, 5)}
    ratios = ratios_without("y ~ age + (1 | iid)", data, G, rows)
    assert min(ratios.values()) > [0.05]
    X = np.column_stack([np.ones(N), data["age"]])
    fixed, random = by_hand(found, data, X, [kernel(data, G)], ratios)
    np.testing.assert_allclose(found.predictions["fixed"], fixed, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.predictions["random"], random, rtol=0, atol=1e-8)

    for number, row in found.table.set_index("fold").iterrows():
        own = fold == number
        y, f, u = data["y"][own], fixed[own], random[own]
        assert row["n"] == row["n_people"] == own.sum()
        assert row["accuracy"] == pytest.approx(np.corrcoef(y - f, u)[0, 1], rel=1e-6)
        assert row["correlation"] == pytest.approx(np.corrcoef(y, f + u)[0, 1], rel=1e-6)
        assert row["slope"] == pytest.approx(np.polyfit(u, y - f, 1)[0], rel=1e-6)
        assert row["mse"] == pytest.approx(np.mean((y - f - u) ** 2), rel=1e-6)
    overall = found.overall
    for name in MEASURES:
        values = found.table[name]
        assert overall.loc[name, "mean"] == pytest.approx(values.mean())
        assert overall.loc[name, "std_error"] == pytest.approx(values.std() / 2.0)
    assert ("held" in set(found.table["status"])) == (components == "held")


@pytest.mark.parametrize("components", ["refit", "held"])
def test_repeated_records_and_families_equal_dense_blup(components):
    """All records of a person are in one fold; their family may have others, which tell of its effect."""
    G, data = records(repeats=2, n=40)
    formula = "y ~ age + (1 | iid) + (1 | family)"
    found = cross_validate(formula, data, relationship={"iid": G}, folds=5, components=components)
    fold = found.predictions["fold"].to_numpy()
    assert (found.predictions.groupby("iid")["fold"].nunique() == 1).all()
    assert found.predictions["iid"].tolist() == data["iid"].tolist()
    assert (found.table["n"] == 2 * found.table["n_people"]).all()
    none = np.array([], dtype=int)
    rows = {k: np.flatnonzero(fold == k) if components == "refit" else none for k in range(1, 6)}
    X = np.column_stack([np.ones(len(data)), data["age"]])
    families = (data["family"].to_numpy()[:, None] == data["family"].to_numpy()).astype(float)
    ratios = ratios_without(formula, data, G, rows)
    fixed, random = by_hand(found, data, X, [kernel(data, G), families], ratios)
    # two searches of the same optimum differ by this much
    np.testing.assert_allclose(found.predictions["fixed"], fixed, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.predictions["random"], random, rtol=0, atol=1e-6)


def test_folds_follow_names_and_seed_alone():
    G, data = records()
    options = {"relationship": {"iid": G}, "folds": 4, "components": "held"}

    def fold_of(table, **more):
        found = cross_validate("y ~ age + (1 | iid)", table, **options, **more).predictions
        return dict(zip(found["iid"], found["fold"], strict=True)), found.set_index("iid")["prediction"]

    first, predicted = fold_of(data)
    shuffled, again = fold_of(data.sample(frac=1.0, random_state=3))
    assert first == shuffled
    np.testing.assert_allclose(again[predicted.index], predicted, rtol=0, atol=1e-9)
    assert fold_of(data)[0] == first
    other = fold_of(data, seed=2)[0]
    assert other != first
    assert sorted(other.values()) == sorted(first.values())
    # row numbers of the table, of those with a response
    gaps = data.copy()
    gaps.loc[5, "y"] = np.nan
    found = cross_validate("y ~ age + (1 | iid)", gaps, **options).predictions
    assert found["row"].tolist() == [i for i in range(N) if i != 5]


def test_by_keeps_groups_together():
    G, data = records()
    found = cross_validate(
        "y ~ age + (1 | iid)", data, relationship={"iid": G}, folds=5, by="family", components="held"
    )
    fold = found.predictions["fold"]
    assert (fold.groupby(data["family"]).nunique() == 1).all()
    assert fold.nunique() == 5


def test_no_genetic_variance_has_no_accuracy():
    G, data = records()
    _, vectors = np.linalg.eigh(G.matrix)
    data["y"] = vectors[:, 1:15] @ np.ones(14)
    found = cross_validate("y ~ 1 + (1 | iid)", data, relationship={"iid": G}, folds=3, components="held")
    assert found.table["accuracy"].isna().all()
    assert found.table["slope"].isna().all()
    assert found.overall.loc["accuracy", "folds"] == 0
    assert found.table["mse"].notna().all()


def test_it_can_be_read():
    G, data = records()
    found = cross_validate("y ~ 1 + (1 | iid)", data, relationship={"iid": G}, folds=3, components="held")
    text = str(found)
    assert "80 records of 80 people ('iid') in 3 folds" in text
    assert "held at those of all records" in text
    assert "accuracy" in text
    assert repr(found) == "<CrossValidation of 'y ~ 1 + (1 | iid)': 3 folds, 80 people>"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folds": 81}, "folds=81, and the records are of 80 different 'iid'"),
        ({"folds": 1}, "at least 2 folds"),
        ({"folds": 2.5}, "folds must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"by": "famly"}, "did you mean 'family'"),
        ({"by": "gaps"}, "'gaps' is missing for 'p3'"),
        ({"components": "fixed"}, "neither 'refit' nor 'held'"),
        ({"group": "id"}, "no grouping factor with a relationship; did you mean 'iid'"),
    ],
)
def test_mistakes(options, words):
    G, data = records()
    data["gaps"] = data["family"].where(data.index != 2)
    with pytest.raises(DataError, match=words):
        cross_validate("y ~ age + (1 | iid)", data, relationship={"iid": G}, **options)


def test_people_in_two_groups_are_refused():
    G, data = records()
    twice = pd.concat([data, data.iloc[:1].assign(family="elsewhere")], ignore_index=True)
    with pytest.raises(DataError, match="'p1' is in two groups of 'family', 'f0' and 'elsewhere'"):
        cross_validate("y ~ age + (1 | iid)", twice, relationship={"iid": G}, by="family")


@pytest.mark.parametrize("components", ["refit", "held"])
def test_a_category_that_one_fold_has_alone_is_refused(components):
    G, data = records()
    data["batch"] = np.where(data.index == 7, "odd", "usual")
    with pytest.raises(DataError, match=r"without the records of fold \d the fixed effects cannot all"):
        cross_validate("y ~ batch + (1 | iid)", data, relationship={"iid": G}, folds=4, components=components)


def cohort(name, trait):
    folder = GWAS / "data" / name
    pheno = pd.read_csv(folder / f"{name}.pheno.txt", sep=r"\s+", dtype={"IID": str})
    G = hd.grm(folder / name)
    table = pheno[["IID", trait]].dropna().rename(columns={"IID": "iid", trait: "y"})
    return G, table.reset_index(drop=True)


@needs_gwas_reference
@pytest.mark.parametrize(
    ("name", "trait"), [("maize_mdp", "dpoll"), ("maize_mdp", "EarHT"), ("mouse_hs1940", "t1")]
)
def test_ten_folds_of_cohorts_equal_dense_blup(name, trait):
    G, data = cohort(name, trait)
    fit = hd.lmer("y ~ 1 + (1 | iid)", data, relationship={"iid": G})
    ratio = fit.varcorr["iid"].covariance[0, 0] / fit.sigma**2
    found = cross_validate("y ~ 1 + (1 | iid)", data, relationship={"iid": G}, components="held")
    ones = np.ones((len(data), 1))
    fixed, random = by_hand(found, data, ones, [kernel(data, G)], {k: [ratio] for k in range(1, 11)})
    spread = data["y"].std()
    np.testing.assert_allclose(found.predictions["fixed"], fixed, rtol=0, atol=1e-8 * spread)
    np.testing.assert_allclose(found.predictions["random"], random, rtol=0, atol=1e-8 * spread)
    assert found.overall.loc["accuracy", "mean"] > 0.3
