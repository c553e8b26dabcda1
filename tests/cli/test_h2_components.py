"""`henderson h2` with several relationships, two traits, breeding values, and `henderson predict`."""

import numpy as np
import pandas as pd
import pytest

import henderson as hd
from command_runs import N, henderson, log_lines, names, refused, write_table
from gwas_reference import GWAS, needs_gwas_reference
from henderson.association.effects_table import read_snp_effects
from henderson.fit.bending import bend
from henderson.fit.cutoffs import make_sparse, unrelated
from henderson.io.pedigree_files import read_pedigree
from henderson.io.relationship_files import write_grm
from henderson.io.sparse_grm_files import write_sparse_grm
from plink_files import write_plink


@pytest.fixture
def command(cohort, capfd):
    def call(*tokens, status=0):
        code, out, err = henderson(capfd, *tokens)
        assert code == status, err
        assert not out
        return err

    return call


H2 = ("h2", "--pheno", "pheno.txt", "--out", "out")


def people():
    """Traits and covariates in the order of the genotypes."""
    table = pd.read_csv("pheno.txt", sep="\t").merge(pd.read_csv("covar.txt", sep="\t"), how="left")
    return table.set_index("IID").loc[[f"i{i}" for i in range(1, N + 1)]].reset_index()


def halves():
    """Matrices of the two halves of the variants: every other one, so that they differ."""
    return [hd.grm("small", variants=np.arange(300) % 2 == k) for k in range(2)]


def reml(y, X, kernels, start):
    """Variances (or covariances) of kernels where the dense REML score is zero, and the inverse information.

    Average-information steps, which from the estimates that are tested go nowhere if these are right.
    """
    v = np.array(start, dtype=float)
    for _ in range(200):
        Vi = np.linalg.inv(sum(a * K for a, K in zip(v, kernels, strict=True)))
        P = Vi - Vi @ X @ np.linalg.solve(X.T @ Vi @ X, X.T @ Vi)
        moved = [K @ P @ y for K in kernels]
        score = np.array([0.5 * ((P @ y) @ q - np.sum(P * K)) for q, K in zip(moved, kernels, strict=True)])
        information = 0.5 * np.array([[a @ P @ b for b in moved] for a in moved])
        step = np.linalg.solve(information, score)
        v += step
        if np.abs(step).max() < 1e-11:
            break
    return v, np.linalg.inv(information)


def two_traits(cohort):
    """Write two traits that share half of their effects; some people have one of them only."""
    source = hd.open_plink1("small")
    calls = source.read(slice(0, 300)).astype(float)
    calls[calls < 0] = 1.0
    x = calls - calls.mean(axis=1, keepdims=True)
    rng = np.random.default_rng(11)
    effects = rng.normal(size=(3, 300)) * 0.1
    own = rng.normal(size=(3, N))
    table = pd.DataFrame({"FID": source.samples.fid, "IID": source.samples.iid})
    table["first"] = x.T @ (effects[0] + effects[1]) + own[0] + own[1]
    table["second"] = x.T @ (effects[0] + effects[2]) + own[0] + own[2]
    table.loc[3:9, "first"] = np.nan
    table.loc[7:20, "second"] = np.nan
    write_table(table.sample(frac=1.0, random_state=2), "traits.txt")
    return table


def sources(path="out.hsq.tsv"):
    return pd.read_csv(path, sep="\t").set_index(["trait", "source"])


def test_two_matrices_equal_dense_reml(command, cohort):
    for k, G in enumerate(halves(), start=1):
        write_grm(G, f"g{k}.npz")
    err = command(*H2, "--grm", "g1.npz", "--grm", "g2.npz", "--pheno-name", "height", "--blup")

    assert names(cohort, "out") == ["out.blup.tsv", "out.h2.log", "out.hsq.tsv"]
    data = people()
    y = data["height"].to_numpy()
    kernels = [*(G.matrix for G in halves()), np.eye(N)]
    v, cov = reml(y, np.ones((N, 1)), kernels, [0.3, 0.3, 1.5])
    assert (v > 0).all()
    found = sources().loc["height"]
    assert found.index.tolist() == [
        "V(G1)", "V(G2)", "V(e)", "Vp", "V(G1)/Vp", "V(G2)/Vp", "Sum of V(G)/Vp", "logL", "n"
    ]  # fmt: skip
    total = v.sum()
    slopes = np.vstack([np.eye(3), np.ones(3), [(np.eye(3)[k] - v[k] / total) / total for k in range(2)]])
    slopes = np.vstack([slopes, slopes[4] + slopes[5]])
    expected = [*v, total, v[0] / total, v[1] / total, (v[0] + v[1]) / total]
    np.testing.assert_allclose(found["estimate"][:7], expected, rtol=1e-5)
    np.testing.assert_allclose(found["std_error"][:7], np.sqrt(np.diag(slopes @ cov @ slopes.T)), rtol=1e-4)
    assert found.loc["n", "estimate"] == N
    assert "height: V(G1) " in err

    V = sum(a * K for a, K in zip(v, kernels, strict=True))
    ones = np.ones(N)
    Vi = np.linalg.inv(V)
    residual = y - (ones @ Vi @ y) / (ones @ Vi @ ones)
    blups = pd.read_csv("out.blup.tsv", sep="\t")
    for k in range(2):
        part = blups[blups["component"] == f"G{k + 1}"]
        assert part["IID"].tolist() == data["IID"].tolist()
        np.testing.assert_allclose(part["blup"], v[k] * kernels[k] @ Vi @ residual, rtol=0, atol=1e-5)


def test_people_must_be_in_all_matrices(command):
    first, second = halves()
    write_grm(first, "g1.npz")
    order = np.random.default_rng(1).permutation(N)[: N - 20]
    part = hd.RelationshipMatrix(second.matrix[np.ix_(order, order)], second.samples.take(order))
    write_grm(part, "g2.npz")
    err = command(*H2, "--grm", "g1.npz", "--grm", "g2.npz", "--pheno-name", "weight")

    assert "20 people are not in g2.npz and left out" in err
    rows = np.sort(order)
    y = people()["weight"].to_numpy()[rows]
    kernels = [*(G.matrix[np.ix_(rows, rows)] for G in (first, second)), np.eye(rows.size)]
    v, _ = reml(y, np.ones((rows.size, 1)), kernels, [0.3, 0.3, 1.0])
    found = sources().loc["weight"]
    assert (v > 0).all()
    np.testing.assert_allclose(found["estimate"][:3], v, rtol=1e-5)
    assert found.loc["n", "estimate"] == N - 20


def test_a_sparse_matrix(command, cohort):
    G = hd.grm("small")
    sparse = make_sparse(G, 0.15)
    write_sparse_grm(sparse, "s", samples=G.samples)
    err = command(*H2, "--sparse-grm", "s", "--pheno-name", "height", "--bend", "--blup")

    assert names(cohort, "out") == ["out.blup.tsv", "out.h2.log", "out.h2.tsv"]
    K = bend(sparse).matrix.toarray()
    y = people()["height"].to_numpy()
    v, _ = reml(y, np.ones((N, 1)), [K, np.eye(N)], [0.3, 1.5])
    row = pd.read_csv("out.h2.tsv", sep="\t").iloc[0]
    assert row["genetic_variance"] == pytest.approx(max(v[0], 0.0), rel=1e-4, abs=1e-8)
    assert "height: h2 " in err


def test_a_pedigree(command, cohort):
    """Families of two parents and two children; a grandfather who has no record gets a prediction."""
    lines = ["id sire dam"]
    for k in range(0, N, 4):
        father, mother, *children = (f"i{k + j}" for j in range(1, 5))
        lines.append(f"{father} old 0")
        lines += [f"{child} {father} {mother}" for child in children]
    (cohort / "p.txt").write_text("\n".join(lines) + "\n")
    err = command(*H2, "--pedigree", "p.txt", "--pheno-name", "height", "--blup")

    assert "height: h2 " in err
    row = pd.read_csv("out.h2.tsv", sep="\t").iloc[0]
    data = people()
    A = read_pedigree("p.txt").additive([*data["IID"], "old"]).matrix
    y = data["height"].to_numpy()
    start = [row["genetic_variance"], row["residual_variance"]]
    v, _ = reml(y, np.ones((N, 1)), [A[:N, :N], np.eye(N)], start)
    assert v[0] > 0.01
    np.testing.assert_allclose(start, v, rtol=1e-5)
    blups = pd.read_csv("out.blup.tsv", sep="\t").set_index("IID")
    V = v[0] * A[:N, :N] + v[1] * np.eye(N)
    Vi_1, Vi_y = np.linalg.solve(V, np.ones(N)), np.linalg.solve(V, y)
    u = v[0] * A[:, :N] @ (Vi_y - Vi_1 * (Vi_1 @ y) / Vi_1.sum())
    np.testing.assert_allclose(blups.loc[[*data["IID"], "old"], "blup"], u, rtol=0, atol=1e-5)


def test_breeding_values_of_everybody(command):
    """Those without a record of the trait too; the table of the trait stays as it is."""
    table = pd.read_csv("pheno.txt", sep="\t")
    table.loc[table["IID"].isin(["i7", "i8"]), "height"] = np.nan
    write_table(table, "pheno.txt")
    command(*H2, "--bfile", "small", "--pheno-name", "height,bmi", "--blup")
    both = pd.read_csv("out.h2.tsv", sep="\t")
    command("h2", "--pheno", "pheno.txt", "--out", "plain", "--bfile", "small", "--pheno-name", "height,bmi")
    pd.testing.assert_frame_equal(both, pd.read_csv("plain.h2.tsv", sep="\t"), rtol=1e-6)

    blups = pd.read_csv("out.blup.tsv", sep="\t").set_index("trait")
    G, data = hd.grm("small").matrix, people()
    for trait in ("height", "bmi"):
        part = blups.loc[trait]
        assert part["IID"].tolist() == data["IID"].tolist()
        assert (part["component"] == "G").all()
        row = both.set_index("trait").loc[trait]
        known = np.flatnonzero(data[trait].notna())
        vg, ve = row["genetic_variance"], row["residual_variance"]
        V = vg * G[np.ix_(known, known)] + ve * np.eye(known.size)
        X = np.ones((known.size, 1))
        Vi = np.linalg.inv(V)
        P = Vi - Vi @ X @ np.linalg.solve(X.T @ Vi @ X, X.T @ Vi)
        C = vg * G[:, known]
        pev = vg * np.diag(G) - np.einsum("ij,jk,ik->i", C, P, C)
        np.testing.assert_allclose(part["blup"], C @ P @ data[trait].to_numpy()[known], rtol=0, atol=1e-8)
        np.testing.assert_allclose(part["pev"], pev, rtol=1e-6)
        if vg > 0:
            reliability = 1 - pev / (vg * np.diag(G))
            np.testing.assert_allclose(part["reliability"], reliability, rtol=0, atol=1e-6)
        else:
            assert part["reliability"].isna().all()


def test_effects_of_variants_predict(command, cohort):
    command(*H2, "--bfile", "small", "--maf", "0.05", "--pheno-name", "weight", "--snp-blup", "--blup")
    assert names(cohort, "out") == ["out.blup.tsv", "out.h2.log", "out.h2.tsv", "out.snp.blup.tsv"]
    effects = read_snp_effects("out.snp.blup.tsv")
    assert (effects.frequency.clip(max=0.5) >= 0.05).all()
    err = command("predict", "--effects", "out.snp.blup.tsv", "--bfile", "small", "--out", "same")
    assert f"effects of {effects.variants.m} variants" in err
    assert names(cohort, "same") == ["same.predict.log", "same.predictions.tsv"]
    found = pd.read_csv("same.predictions.tsv", sep="\t")
    blups = pd.read_csv("out.blup.tsv", sep="\t")
    assert found.columns.tolist() == ["FID", "IID", "prediction", "n_variants_used"]
    np.testing.assert_allclose(found["prediction"], blups["blup"], rtol=1e-8, atol=1e-9)

    # other people, by another fileset
    calls = np.random.default_rng(5).integers(0, 3, size=(300, 7)).astype(np.int8)
    write_plink(cohort / "new", calls)
    command("predict", "--effects", "out.snp.blup.tsv", "--bfile", "new", "--out", "new")
    wanted = np.isin(hd.open_plink1("new").variants.identifier, effects.variants.identifier)
    by_hand = effects.effect @ (calls[wanted] - effects.mean_copies[:, None])
    np.testing.assert_allclose(
        pd.read_csv("new.predictions.tsv", sep="\t")["prediction"], by_hand, rtol=1e-8, atol=1e-9
    )


def test_cutoff(command):
    G = hd.grm("small")
    write_grm(G, "g.npz")
    err = command(*H2, "--grm", "g.npz", "--grm-cutoff", "0.12", "--pheno-name", "height")
    kept = unrelated(G, 0.12)
    assert 20 < len(kept) < N
    assert f"{N - len(kept)} of {N} people left out" in err
    row = pd.read_csv("out.h2.tsv", sep="\t").iloc[0]
    data = people().rename(columns={"IID": "iid"})
    fit = hd.lmer("height ~ 1 + (1 | iid)", data[data["iid"].isin(kept)], relationship={"iid": G})
    assert row["n"] == len(kept)
    assert row["h2"] == pytest.approx(fit.heritability().h2, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("covariates", [False, True])
def test_two_traits_equal_dense_reml(command, cohort, covariates):
    G = hd.grm("small")
    write_grm(G, "g.npz")
    table = two_traits(cohort)
    more = ("--covar", "covar.txt", "--covar-name", "age", "sex") if covariates else ()
    options = ("--grm", "g.npz", "--bivariate", "--pheno-name", "first", "second", *more)
    err = command("h2", "--pheno", "traits.txt", "--out", "out", *options)

    data = table.merge(pd.read_csv("covar.txt", sep="\t"), how="left")
    ok = np.ones(N, dtype=bool) if not covariates else data["age"].notna().to_numpy()
    rows = [np.flatnonzero(data[trait].notna() & ok) for trait in ("first", "second")]
    assert f"tr1 is first ({rows[0].size} people), tr2 is second ({rows[1].size})" in err
    person = np.concatenate(rows)
    trait = np.repeat([0, 1], [rows[0].size, rows[1].size])
    y = np.concatenate([data["first"][rows[0]], data["second"][rows[1]]])
    columns = [np.ones(N)]
    if covariates:
        columns += [data["age"].to_numpy(), (data["sex"] == "M").to_numpy(dtype=float)]
    own = np.column_stack(columns)[person]
    X = np.hstack([own * (trait == k)[:, None] for k in range(2)])
    K, same = G.matrix[np.ix_(person, person)], (person[:, None] == person).astype(float)
    kernels = []
    for part in (K, same):
        for a, b in ((0, 0), (1, 1), (0, 1)):
            pair = np.outer(trait == a, trait == b)
            kernels.append(part * (pair | pair.T))
    found = sources().loc["first and second"]
    names_ = ["V(G)_tr1", "V(G)_tr2", "C(G)_tr12", "V(e)_tr1", "V(e)_tr2", "C(e)_tr12"]
    estimates = found.loc[names_, "estimate"].to_numpy()
    assert abs(estimates[2]) < 0.95 * np.sqrt(estimates[0] * estimates[1])
    v, cov = reml(y, X, kernels, estimates)
    np.testing.assert_allclose(estimates, v, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.loc[names_, "std_error"], np.sqrt(np.diag(cov)), rtol=1e-4)
    r = v[2] / np.sqrt(v[0] * v[1])
    slope = np.array([-0.5 * r / v[0], -0.5 * r / v[1], 1 / np.sqrt(v[0] * v[1]), 0, 0, 0])
    assert found.loc["rG", "estimate"] == pytest.approx(r, abs=1e-4)
    assert found.loc["rG", "std_error"] == pytest.approx(np.sqrt(slope @ cov @ slope), rel=1e-3)
    assert found.loc["Vp_tr2", "estimate"] == pytest.approx(v[1] + v[4], rel=1e-5)
    assert found.loc["V(G)/Vp_tr1", "estimate"] == pytest.approx(v[0] / (v[0] + v[3]), rel=1e-4)
    assert found.loc["n", "estimate"] == y.size


def test_two_traits_of_different_people(command):
    table = pd.read_csv("pheno.txt", sep="\t")
    half = table["IID"].str[1:].astype(int) % 2 == 0
    table.loc[half, "weight"] = np.nan
    table.loc[~half, "height"] = np.nan
    write_table(table, "pheno.txt")
    write_grm(hd.grm("small"), "g.npz")
    err = command(*H2, "--grm", "g.npz", "--bivariate", "--pheno-name", "weight", "height", "--blup")
    assert "0 have both" in err
    found = sources().loc["weight and height"]
    assert "C(G)_tr12" in found.index
    assert "C(e)_tr12" not in found.index
    blups = pd.read_csv("out.blup.tsv", sep="\t")
    assert blups.groupby("trait")["IID"].nunique().to_dict() == {"height": N, "weight": N}


def test_a_trait_that_fails_does_not_stop_the_others(command):
    phenotypes = pd.read_csv("pheno.txt", sep="\t")
    write_table(phenotypes.assign(flat=1.5), "pheno.txt")
    err = command(*H2, "--bfile", "small", "--blup", status=1)
    assert sorted(pd.read_csv("out.h2.tsv", sep="\t")["trait"]) == ["bmi", "height", "weight"]
    assert "not analysed: flat: " in err
    assert log_lines("out.h2")[-1].startswith("finished in ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--grm", "g.npz", "--grm", "g.npz"), "names g.npz more than once"),
        (("--grm", "g.npz", "--grm", "h.npz", "--bivariate"), "--bivariate takes one relationship"),
        (("--grm", "g.npz", "--grm", "h.npz", "--prevalence", "0.1"), "--prevalence takes one relationship"),
        (("--grm", "g.npz", "--bivariate"), "--bivariate takes two traits, and there are 3"),
        (("--grm", "g.npz", "--bivariate", "--pheno-name", "bmi"), "two traits, and there is 1"),
        (("--grm", "g.npz", "--snp-blup"), "--snp-blup needs the genotypes"),
        (("--bfile", "small", "--snp-blup"), "one trait, and there are 3"),
        (("--bfile", "small", "--snp-blup", "--bivariate"), "leave out --bivariate"),
        (("--pedigree", "p.txt", "--grm-cutoff", "0.1"), "a pedigree is none"),
        (("--grm", "g.npz", "--bfile", "small"), "leave out --bfile"),
    ],
)
def test_h2_refuses(cohort, capfd, options, words):
    for name in ("g.npz", "h.npz"):
        write_grm(hd.grm("small"), name)
    assert words in refused(capfd, *H2, *options)
    assert names(cohort, "out") in ([], ["out.h2.log"])


def test_two_traits_of_which_one_is_constant_are_refused(cohort, capfd):
    """Its variances are zero, where no search for those of the two together ends."""
    write_grm(hd.grm("small"), "g.npz")
    phenotypes = pd.read_csv("pheno.txt", sep="\t")
    write_table(phenotypes.assign(flat=5.0), "pheno.txt")
    said = refused(capfd, *H2, "--grm", "g.npz", "--bivariate", "--pheno-name", "height", "flat")
    assert "fit flat exactly in all 120 people" in said


@pytest.mark.parametrize("options", [("--bivariate",), ("--blup",), ()])
def test_names_of_traits_are_those_of_the_table(command, cohort, options):
    write_grm(hd.grm("small"), "g.npz")
    phenotypes = pd.read_csv("pheno.txt", sep="\t").rename(columns={"height": "height (cm)"})
    write_table(phenotypes, "pheno.txt")
    command(*H2, "--grm", "g.npz", "--pheno-name", "height (cm)", "weight", *options)
    for path in cohort.glob("out.*.tsv"):
        text = path.read_text()
        assert "height (cm)" in text
        assert "`" not in text


def test_a_pedigree_is_not_called_genotypes(cohort, capfd):
    (cohort / "p.txt").write_text("id sire dam\nx1 x2 x3\n")
    said = refused(capfd, *H2, "--pedigree", "p.txt", "--pheno-name", "height")
    assert "Nobody in pheno.txt is in p.txt" in said
    assert "genotypes" not in said


def test_a_matrix_of_other_people_is_refused(cohort, capfd):
    G = hd.grm("small")
    write_grm(G, "g.npz")
    write_grm(hd.RelationshipMatrix.of(G.matrix, [f"x{i}" for i in range(N)]), "h.npz")
    sentence = refused(capfd, *H2, "--grm", "g.npz", "--grm", "h.npz")
    assert "h.npz" in sentence


def test_a_column_named_as_people_are_is_refused(cohort, capfd):
    write_table(pd.read_csv("pheno.txt", sep="\t").assign(iid_2=1.0), "pheno.txt")
    for name in ("g.npz", "h.npz"):
        write_grm(hd.grm("small"), name)
    sentence = refused(capfd, *H2, "--grm", "g.npz", "--grm", "h.npz")
    assert "pheno.txt has a column 'iid_2'" in sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ("--effects", "pheno.txt", "--bfile", "small"),
            "it lacks the columns chromosome, base_pair_location",
        ),
        (("--effects", "none.tsv", "--bfile", "small"), "There is no file of effects none.tsv"),
        (("--effects", "e.tsv"), "Give the genotypes as one of --bfile"),
        (("--effects", "e.tsv", "--bfile", "elsewhere"), "none of the 2 variants that have effects"),
    ],
)
def test_predict_refuses(cohort, capfd, options, words):
    columns = "chromosome base_pair_location rsid effect_allele other_allele effect_allele_frequency"
    lines = [f"{columns} mean_copies divisor effect", "9 5 a A G 0.5 1 1 0.1", "9 6 b A G 0.5 1 1 0.1"]
    (cohort / "e.tsv").write_text("\n".join(line.replace(" ", "\t") for line in lines) + "\n")
    write_plink(cohort / "elsewhere", np.ones((3, 4), dtype=np.int8))
    assert words in refused(capfd, "predict", "--out", "out", *options)


@needs_gwas_reference
def test_two_traits_equal_gcta(command):
    """GCTA 1.94.1 --reml-bivar, to what its stopping rule leaves."""
    folder = GWAS / "data" / "hapmap3"
    command("grm", "--bfile", folder / "hapmap3", "--maf", "0.01", "--missing", "pairwise", "--out", "g")
    command(
        "h2", "--pheno", folder / "hapmap3.pheno.txt", "--pheno-name", "q1", "q2", "--covar",
        folder / "hapmap3.covar.txt", "--grm", "g.npz", "--bivariate", "--out", "out",
    )  # fmt: skip
    expected = pd.read_csv(GWAS / "expected" / "hapmap3" / "gcta" / "bivar.hsq", sep="\t", index_col=0)
    found = sources().loc["q1 and q2"]
    for name, row in expected.drop(index=["logL", "n"]).iterrows():
        assert found.loc[name, "estimate"] == pytest.approx(row["Variance"], rel=1e-3, abs=1e-5), name
        assert found.loc[name, "std_error"] == pytest.approx(row["SE"], rel=5e-3), name
    assert found.loc["n", "estimate"] == expected.loc["n", "Variance"]
