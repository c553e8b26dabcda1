import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.genotype.source import Samples
from henderson.io.alignment import align, join_tables
from henderson.io.phenotypes import phenotypes_of, read_phenotypes


def people(*pairs):
    fid, iid = zip(*(pair.split() for pair in pairs), strict=True)
    return Samples(np.array(fid), np.array(iid))


def table_of(*pairs, source="the table"):
    samples = people(*pairs)
    return phenotypes_of({"FID": samples.fid, "IID": samples.iid, "y": np.arange(len(pairs))}, source=source)


def by_iid(*iids):
    return phenotypes_of({"IID": list(iids), "y": np.arange(len(iids))})


def test_by_pair():
    found = align(people("f 1", "f 2", "g 1", "h 9"), table_of("g 1", "z 2", "f 1"))

    assert found.rows_in_genotypes.tolist() == [0, 2]
    assert found.rows_in_table.tolist() == [2, 0]
    assert (found.n, found.n_genotyped, found.n_in_table) == (2, 4, 3)
    assert (found.n_only_genotyped, found.only_genotyped) == (2, ("f 2", "h 9"))
    assert (found.n_only_in_table, found.only_in_table) == (1, ("z 2",))
    assert found.matched_by == "FID and IID"
    assert found.notices == (
        "2 people are genotyped but not in the table: f 2, h 9.",
        "1 person is in the table but not genotyped: z 2.",
    )


@pytest.mark.parametrize(
    ("genotyped", "table"),
    [
        (people("f a", "g b"), by_iid("b", "a")),
        (people("f a", "g b"), table_of("0 b", "0 a")),
        (people("0 a", "0 b"), table_of("g b", "f a")),
    ],
)
def test_by_iid_where_a_side_has_no_families(genotyped, table):
    found = align(genotyped, table)

    assert found.rows_in_table.tolist() == [1, 0]
    assert found.matched_by == "IID"
    assert found.notices == ()


def test_by_iid_where_families_differ_is_told():
    found = align(people("f a", "g b"), table_of("b b", "a a"))

    assert found.rows_in_table.tolist() == [1, 0]
    assert found.notices == (
        "No FID of the table fits with its IID, so that people were matched by IID alone.",
    )


def test_a_list_that_is_none_of_genotypes_is_called_by_its_name():
    found = align(people("f 1", "f 2"), table_of("f 1", "z 2"), called="animals.csv")

    assert found.notices == (
        "1 person is in animals.csv but not in the table: f 2.",
        "1 person is in the table but not in animals.csv: z 2.",
    )
    with pytest.raises(DataError, match="Nobody in the table is in animals"):
        align(people("f 1"), table_of("z 2"), called="animals.csv")


def test_long_lists_are_cut():
    found = align(people(*(f"f {k}" for k in range(2000))), table_of("f 7", *(f"x {k}" for k in range(9))))

    assert found.notices[0] == "1,999 people are genotyped but not in the table: f 0, f 1, f 2 and others."
    assert found.only_in_table == ("x 0", "x 1", "x 2")


@pytest.mark.parametrize(
    ("genotyped", "table", "message"),
    [
        (people("f a", "g a"), by_iid("a"), "IID a is in the genotypes more than once"),
        (people("f a", "g a"), table_of("x a", "y b"), "IID a is in the genotypes more than once"),
        (people("0 a", "0 b"), table_of("f a", "g a"), "IID a is in the table more than once"),
        (people("f a", "f a"), table_of("f a"), "FID f, IID a is in the genotypes more than once"),
        (people("f a", "g b"), table_of("a f", "b g"), "FID and IID seem to be swapped in the table"),
        (people("f a", "g b"), by_iid("f_a", "g_b"), "IID of the table seems to be FID and IID joined"),
        (people("0 f_a", "0 g_b"), table_of("f a", "g b"), "IID of the genotypes seems to be FID and IID"),
        (people("f 007", "g 012"), by_iid(7, 12), "leading zeros"),
        (people("f na1"), by_iid("NA1"), "upper and lower case"),
        (people("f a"), by_iid("f"), "the FID of one side is the IID of the other"),
        (people("f a", "g b", "h c"), by_iid("x", "y", "z"), "g b in the genotypes; 0 x and 0 y in"),
    ],
)
def test_refusals(genotyped, table, message):
    with pytest.raises(DataError, match=message) as caught:
        align(genotyped, table)
    assert str(caught.value).endswith((".",))


def test_other_lists_of_people():
    genotyped = people("f a", "f b", "f c", "f d")
    found = align(genotyped, table_of("f d", "f a", "f b"), also={"the matrix": people("f c", "f b", "f d")})

    assert found.rows_in_genotypes.tolist() == [1, 3]
    assert found.rows_in_table.tolist() == [2, 0]
    assert found.rows_in_also["the matrix"].tolist() == [1, 2]
    assert found.notices[0] == "1 person is not in the matrix and left out: f a."
    with pytest.raises(DataError, match="Nobody is in the genotypes, the table and the matrix at once"):
        align(genotyped, table_of("f a"), also={"the matrix": people("f b")})


@given(st.integers(0, 10_000), st.booleans())
def test_invariances(seed, with_families):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    iid = np.array([f"i{k}" for k in rng.permutation(n)])
    fid = np.array([f"f{k}" for k in rng.integers(0, 5, n)]) if with_families else np.full(n, "0")
    genotyped = Samples(fid, iid)
    chosen = rng.permutation(n)[: rng.integers(1, n + 1)]
    frame = pd.DataFrame({"FID": fid[chosen], "IID": iid[chosen], "y": rng.normal(size=len(chosen))})

    def aligned(frame, samples=genotyped):
        table = phenotypes_of(frame)
        found = align(samples, table)
        return samples.iid[found.rows_in_genotypes].tolist(), table.columns["y"].to_numpy()[
            found.rows_in_table
        ]

    expected_people = [i for i in iid.tolist() if i in set(iid[chosen])]
    expected = frame.set_index("IID")["y"].loc[expected_people].to_numpy()
    extra = pd.DataFrame({"FID": ["q", "q"], "IID": ["new1", "new2"], "y": [100.0, 200.0]})
    relabelled = frame.assign(FID=["fam" + f for f in frame["FID"]]) if with_families else frame
    other = Samples(np.array(["fam" + f for f in fid]) if with_families else fid, iid)
    for found in [
        aligned(frame),
        aligned(frame.sample(frac=1, random_state=seed)),
        aligned(pd.concat([extra.assign(FID="q" if with_families else "0"), frame])),
        aligned(relabelled, other),
        aligned(frame.drop(columns="FID")),
    ]:
        assert found[0] == expected_people
        np.testing.assert_array_equal(found[1], expected)


def test_many_people():
    n = 50_000
    iid = np.array([f"person{k}" for k in range(n)])
    table = phenotypes_of({"FID": iid[::-1], "IID": iid[::-1], "y": np.zeros(n)})
    found = align(Samples(iid, iid), table)

    np.testing.assert_array_equal(found.rows_in_table, np.arange(n)[::-1])


def test_join():
    bmi = phenotypes_of({"FID": ["f", "f", "g"], "IID": ["a", "b", "a"], "bmi": [1.0, 2.0, 3.0]}, source="p")
    age = phenotypes_of({"FID": ["g", "f"], "IID": ["a", "a"], "age": [30, 10]}, source="c")
    site = phenotypes_of({"FID": ["f", "f"], "IID": ["b", "a"], "site": ["x", "y"]}, source="d")
    joined = join_tables(bmi, [age, site])

    np.testing.assert_array_equal(joined.table.columns["bmi"], [1, 2, 3])
    np.testing.assert_array_equal(joined.table.columns["age"], [10, np.nan, 30])
    assert joined.table.columns["site"].tolist()[:2] == ["y", "x"]
    assert joined.table.columns["site"].isna().tolist() == [False, False, True]
    assert joined.n_without_covariates == 2
    assert joined.notices == ("1 person is in p but not in c: f b.", "1 person is in p but not in d: g a.")
    assert joined.table.samples is bmi.samples


def test_join_refuses_a_clash():
    bmi = phenotypes_of({"IID": ["a"], "bmi": [1.0]}, source="p.txt")
    other = phenotypes_of({"IID": ["a"], "bmi": [2.0]}, source="c.txt")

    with pytest.raises(DataError, match=r"Both p\.txt and c\.txt have a column 'bmi'; rename one of them\."):
        join_tables(bmi, other)
    age = phenotypes_of({"IID": ["z"], "age": [2.0]}, source="c.txt")
    with pytest.raises(DataError, match=r"Nobody in c\.txt is in p\.txt"):
        join_tables(bmi, age)


@needs_gwas_reference
def test_reference_subset_in_another_order():
    folder = GWAS / "data" / "formats" / "pheno"
    whole = read_phenotypes(folder / "plink2_regenie_header_NA.txt")
    part = read_phenotypes(folder / "shuffled_subset900.txt")
    found = align(whole.samples, part)

    assert (found.n, found.n_only_genotyped, found.n_only_in_table) == (900, 57, 0)
    np.testing.assert_array_equal(
        part.columns.to_numpy()[found.rows_in_table], whole.columns.to_numpy()[found.rows_in_genotypes]
    )
    no_families = read_phenotypes(folder / "plink2_hashIID_only.txt")
    assert align(whole.samples, no_families).rows_in_table.tolist() == list(range(957))
    with pytest.raises(DataError, match="Nobody"):
        align(whole.samples, read_phenotypes(folder / "plink1_header_minus9.txt"))
