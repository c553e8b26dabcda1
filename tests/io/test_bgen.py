"""BGEN files: what is read, against PLINK 2, VCF and what was written, and what is refused."""

from __future__ import annotations

import gzip
import logging
import pickle
import shutil
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwas_reference import GWAS, needs_gwas_reference
from henderson.errors import DataError
from henderson.io.bgen import open_bgen
from henderson.io.oxford_sample import read_sample
from henderson.io.plink1 import open_plink1
from henderson.io.several_alleles import rows_per_allele
from raw_dosages import FORMATS, assert_same_as_raw

bgen = pytest.importorskip("bgen")

#: Alleles of the genotypes whose probabilities are stored for one and two chromosomes, in the file's order.
GENOTYPES = {
    (2, 1): [(0,), (1,)],
    (2, 2): [(0, 0), (0, 1), (1, 1)],
    (3, 1): [(0,), (1,), (2,)],
    (3, 2): [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2)],
    (4, 1): [(0,), (1,), (2,), (3,)],
    (4, 2): [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3), (2, 3), (3, 3)],
}


def write_bgen(path, variants, *, names=None, compression="zlib", layout=2, index=False):
    """Write variants as pairs (number of alleles, what `add_variant` takes besides names)."""
    n = len(variants[0][1]["genotypes"])
    given = {} if names is None else {"samples": names}
    with bgen.BgenWriter(str(path), n, compression=compression, layout=layout, **given) as file:
        for j, (n_alleles, rest) in enumerate(variants, start=1):
            file.add_variant(f"{j}:x", f"rs{j}", "1", 100 * j, list("ACGT"[:n_alleles]), **rest)
    if not index:
        path.with_name(path.name + ".bgi").unlink()
    return path


def names(n):
    return [f"i{k}" for k in range(1, n + 1)]


def hard(*copies):
    """A variant of two alleles with certain genotypes."""
    return 2, {"genotypes": np.eye(3)[list(copies)]}


def random_variant(rng, n, n_alleles, *, bits, phased, ploidy):
    """A variant whose probabilities are whole multiples of what is stored, and the expected copies."""
    top = 2**bits - 1
    most = int(ploidy.max())
    width = n_alleles * most if phased else len(GENOTYPES[n_alleles, most])
    probabilities = np.full((n, width), np.nan)
    copies = np.full((n_alleles - 1, n), np.nan)
    for person, chromosomes in enumerate(ploidy.tolist()):
        if rng.random() < 0.15:
            continue
        expected = np.zeros(n_alleles)
        if phased:
            for k in range(chromosomes):
                p = rng.multinomial(top, rng.dirichlet(np.ones(n_alleles))) / top
                probabilities[person, k * n_alleles : (k + 1) * n_alleles] = p
                expected += p
        else:
            genotypes = GENOTYPES[n_alleles, chromosomes]
            p = rng.multinomial(top, rng.dirichlet(np.ones(len(genotypes)))) / top
            probabilities[person, : len(p)] = p
            for weight, genotype in zip(p, genotypes, strict=True):
                for allele in genotype:
                    expected[allele] += weight
        copies[:, person] = expected[1:] * 2 / chromosomes
    rest = {"genotypes": probabilities, "ploidy": ploidy, "phased": phased, "bit_depth": bits}
    return (n_alleles, rest), copies


@pytest.fixture
def path(tmp_path):
    """Three variants of four people, with their names inside."""
    variants = [hard(0, 1, 2, 0), hard(2, 2, 1, 0), hard(1, 0, 0, 1)]
    return write_bgen(tmp_path / "cohort.bgen", variants, names=names(4))


# What is read


@needs_gwas_reference
@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("hm3_8bit", "hm3"),
        ("hm3_16bit", "hm3"),
        ("hm3_8bit_reffirst", "hm3"),
        ("hm3_c22_ds_8bit", "hm3_c22_ds_8bit"),
        ("hm3_c22_ds_16bit", "hm3_c22_ds_16bit"),
        ("hm3_c22_ds_v11", "hm3_c22_ds"),
    ],
)
def test_against_text_that_plink2_wrote(name, truth):
    source = open_bgen(FORMATS / f"{name}.bgen")
    assert source.has_dosages
    # PLINK writes five digits, and rounded the probabilities before.
    assert_same_as_raw(source, truth, within=6e-5)
    dosages = "c22_ds" in name
    assert set(source.samples.sex.tolist()) == ({0} if dosages else {1, 2})
    assert (source.samples.fid == "0").all() == dosages


def assert_same_as_bed(ours, theirs):
    """The effect alleles may be each other's."""
    calls = theirs.read(slice(0, None)).astype(float)
    calls[calls < 0] = np.nan
    assert ours.samples.iid.tolist() == theirs.samples.iid.tolist()
    assert ours.variants.position.tolist() == theirs.variants.position.tolist()
    assert ours.variants.identifier.tolist() == theirs.variants.identifier.tolist()
    flipped = ours.variants.effect_allele != theirs.variants.effect_allele
    calls[flipped] = 2 - calls[flipped]
    assert np.array_equal(ours.read(slice(0, None)), calls, equal_nan=True)


@needs_gwas_reference
@pytest.mark.parametrize("name", ["example_3chr", "example_3chr_zstd"])
def test_same_as_the_bed_file(name):
    folder = GWAS / "data" / "regenie_example"
    ours = open_bgen(folder / f"{name}.bgen", sample=folder / "example_3chr.sample")
    theirs = open_plink1(folder / "example_3chr")
    assert ours.samples.fid.tolist() == theirs.samples.fid.tolist()
    assert_same_as_bed(ours, theirs)


@needs_gwas_reference
def test_with_an_index_that_bgenix_made():
    folder = GWAS / "data" / "regenie_example"
    ours, theirs = open_bgen(folder / "example.bgen"), open_plink1(folder / "example")
    assert (folder / "example.bgen.bgi").exists()
    assert ours.samples.iid[:2].tolist() == ["1_1", "2_2"]
    assert ours.samples.fid[:2].tolist() == ["0", "0"]
    calls = theirs.read(slice(0, None)).astype(float)
    flipped = ours.variants.effect_allele != theirs.variants.effect_allele
    calls[flipped] = 2 - calls[flipped]
    assert np.array_equal(ours.read(slice(0, None)), np.where(calls < 0, np.nan, calls), equal_nan=True)


def read_vcf(path):
    """Names and expected copies of ALT from GT or GP, a few lines for small files."""
    copies = []
    with gzip.open(path, "rt") as file:
        for line in file:
            fields = line.rstrip("\n").split("\t")
            if line.startswith("#CHROM"):
                people = fields[9:]
            elif not line.startswith("#"):
                calls = [call.split(":")[0].replace("|", "/") for call in fields[9:]]
                if fields[8].startswith("GP"):
                    triples = [[float(p) if p != "." else np.nan for p in call.split(",")] for call in calls]
                    copies.append([(b + 2 * c) / (a + b + c) for a, b, c in triples])
                else:
                    copies.append(
                        [np.nan if "." in call else sum(map(int, call.split("/"))) for call in calls]
                    )
    return people, np.array(copies, dtype=float)


@needs_gwas_reference
@pytest.mark.parametrize(("bits", "within"), [("16bits", 1e-4), ("8bits", 6e-3)])
def test_the_public_example_against_its_vcf(bits, within):
    source = open_bgen(FORMATS / f"bgenorg_example.{bits}.bgen")
    people, copies = read_vcf(FORMATS / "bgenorg_example.16bits.vcf.gz")
    assert source.samples.iid.tolist() == people
    assert set(source.variants.chromosome.tolist()) == {"01"}
    np.testing.assert_allclose(source.read(slice(0, None)), copies, rtol=0, atol=within, equal_nan=True)


@needs_gwas_reference
@pytest.mark.parametrize("name", ["genotype_10markers.missingness", "genotype_100markers"])
def test_another_program_against_its_vcf(tmp_path, name):
    folder = GWAS / "data" / "saige_example"
    people, copies = read_vcf(folder / f"{name}.vcf.gz")
    sample = tmp_path / "x.sample"
    sample.write_text("ID_1 ID_2 missing\n0 0 0\n" + "".join(f"{name} {name} 0\n" for name in people))
    source = open_bgen(folder / f"{name}.bgen", sample=sample)
    assert np.isnan(copies).any() == ("missingness" in name)
    np.testing.assert_allclose(source.read(slice(0, None)), copies, rtol=0, atol=1e-6, equal_nan=True)
    assert source.samples.fid.tolist() == people


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_what_was_written_is_read(tmp_path_factory, data):
    n = data.draw(st.integers(1, 7))
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    variants, expected = [], []
    for _ in range(data.draw(st.integers(1, 4))):
        ploidy = {
            "two": np.full(n, 2), "one": np.full(n, 1), "both": rng.integers(1, 3, n),
        }[data.draw(st.sampled_from(["two", "one", "both"]))]  # fmt: skip
        variant, copies = random_variant(
            rng,
            n,
            data.draw(st.integers(2, 4)),
            bits=data.draw(st.sampled_from([1, 3, 7, 8, 11, 16, 22])),
            phased=data.draw(st.booleans()),
            ploidy=ploidy,
        )
        variants.append(variant)
        expected.append(copies)
    expected = np.concatenate(expected)
    path = tmp_path_factory.mktemp("bgen") / "x.bgen"
    compression = data.draw(st.sampled_from([None, "zlib", "zstd"]))
    index = data.draw(st.booleans())
    source = open_bgen(write_bgen(path, variants, names=names(n), compression=compression, index=index))
    m = len(expected)
    dosages = source.read(slice(0, m))
    assert dosages.dtype == np.float32
    np.testing.assert_allclose(dosages, expected, rtol=0, atol=1e-5, equal_nan=True)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, m), st.integers(0, m))))
    people = rng.integers(0, n, data.draw(st.integers(0, 6)))
    part = source.read(slice(start, stop), people)
    assert np.array_equal(part, dosages[start:stop, people], equal_nan=True)


def test_rows_of_several_alleles(tmp_path, caplog):
    variants = [hard(0, 1, 2, 0), (3, {"genotypes": np.eye(6)[[0, 1, 4, 5]]}), hard(1, 0, 0, 1)]
    with caplog.at_level(logging.WARNING, "henderson"):
        source = open_bgen(write_bgen(tmp_path / "x.bgen", variants, names=names(4)))
    assert "1 of 3 variants have several alternative alleles" in caplog.text
    assert source.variants.identifier.tolist() == ["rs1", "rs2", "rs2", "rs3"]
    assert source.variants.position.tolist() == [100, 200, 200, 300]
    assert source.variants.effect_allele.tolist() == ["C", "C", "G", "C"]
    assert source.variants.other_allele.tolist() == ["A"] * 4
    assert source.read(slice(0, 4)).tolist() == [[0, 1, 2, 0], [0, 1, 1, 0], [0, 0, 1, 2], [1, 0, 0, 1]]
    assert source.read(slice(2, 3)).tolist() == [[0, 0, 1, 2]]


def test_nobody_has_the_chromosome(tmp_path):
    given = {"genotypes": np.array([[0.0, 1.0, 0.0], [0.0, 1.0, np.nan], [np.nan] * 3])}
    variant = (2, given | {"ploidy": np.array([2, 1, 0])})
    source = open_bgen(write_bgen(tmp_path / "x.bgen", [variant], names=names(3)))
    assert np.array_equal(source.read(slice(0, 1)), [[1, 2, np.nan]], equal_nan=True)


def test_version_1_1(tmp_path):
    rng = np.random.default_rng(3)
    probabilities = rng.multinomial(1 << 15, [0.2, 0.3, 0.5], (5, 6)) / (1 << 15)
    probabilities[2, 3] = np.nan
    variants = [(2, {"genotypes": each}) for each in probabilities]
    source = open_bgen(write_bgen(tmp_path / "x.bgen", variants, names=names(6), layout=1))
    expected = probabilities @ [0, 1, 2]
    np.testing.assert_allclose(source.read(slice(0, None)), expected, rtol=0, atol=1e-5, equal_nan=True)


def test_names_of_variants(tmp_path):
    with bgen.BgenWriter(str(tmp_path / "x.bgen"), 1, ["i"]) as file:
        file.add_variant("only:this", "", "X", 7, ["A", "<DEL>"], np.array([[1.0, 0, 0]]))
        file.add_variant("", "rs2", "0X", 2**31 - 1, ["ACGT" * 100, "é"], np.array([[1.0, 0, 0]]))
    variants = open_bgen(tmp_path / "x.bgen").variants
    assert variants.identifier.tolist() == ["only:this", "rs2"]
    assert variants.chromosome.tolist() == ["X", "0X"]
    assert variants.position.tolist() == [7, 2**31 - 1]
    assert variants.effect_allele.tolist() == ["<DEL>", "é"]
    assert variants.other_allele.tolist() == ["A", "ACGT" * 100]


def test_people_and_variants_by_slices(path):
    source = open_bgen(path)
    assert source.read(slice(1, 99)).tolist() == [[2, 2, 1, 0], [1, 0, 0, 1]]
    assert source.read(slice(2, 2)).shape == (0, 4)
    assert source.read(slice(0, 2), np.array([], dtype=int)).shape == (2, 0)
    with pytest.raises(ValueError, match="contiguous"):
        source.read(slice(0, 3, 2))
    with pytest.raises(TypeError, match="not by a mask"):
        source.read(slice(0, 3), np.ones(4, dtype=bool))
    with pytest.raises(IndexError):
        source.read(slice(0, 3), np.array([4]))


def test_pickled(path):
    again = pickle.loads(pickle.dumps(open_bgen(path)))
    assert again.read(slice(0, 1)).tolist() == [[0, 1, 2, 0]]


# Who was genotyped


@pytest.mark.parametrize(
    ("text", "fid", "iid", "sex"),
    [
        ("ID_1 ID_2 missing sex\n0 0 0 D\nf a 0 1\ng b 0 2\n", "fg", "ab", [1, 2]),
        ("ID_1\tID_2\tmissing\tSex\r\n0\t0\t0\tD\r\nf\ta\t0\tM\r\ng\tb\t0\tNA", "fg", "ab", [1, 0]),
        ("ID_1 ID_2 missing\n\n0 0 0\nf a 0\n\ng b 0\n", "fg", "ab", [0, 0]),
        ("ID missing sex\n0 0 D\na 0 2\nb 0 0\n", "00", "ab", [2, 0]),
        ("\ufeffID_1 ID_2 missing\n0 0 0\nf a 0\ng b 0\n", "fg", "ab", [0, 0]),
    ],
)  # fmt: skip
def test_people(tmp_path, text, fid, iid, sex):
    file = tmp_path / "x.sample"
    file.write_bytes(text.encode())
    samples = read_sample(file)
    assert "".join(samples.fid) == fid
    assert "".join(samples.iid) == iid
    assert samples.sex.tolist() == sex


def write_sample(path, people):
    path.write_text("ID_1 ID_2 missing sex\n0 0 0 D\n" + "".join(f"{f} {i} 0 1\n" for f, i in people))
    return path


def test_a_sample_file_beside_or_named(path, tmp_path):
    assert open_bgen(path).samples.fid.tolist() == ["0"] * 4
    beside = write_sample(path.with_suffix(".sample"), [("f", f"i{k}") for k in range(1, 5)])
    assert open_bgen(path).samples.fid.tolist() == ["f"] * 4
    assert open_bgen(path).samples.sex.tolist() == [1] * 4
    named = write_sample(tmp_path / "other.sample", [("g", f"i{k}") for k in range(1, 5)])
    assert open_bgen(str(path), sample=str(named)).samples.fid.tolist() == ["g"] * 4
    # Names that the .bgen file does not know say nothing about the order.
    write_sample(beside, [("f", f"new{k}") for k in range(4)])
    assert open_bgen(path).samples.iid.tolist() == ["new0", "new1", "new2", "new3"]


@pytest.mark.parametrize("joined", [False, True])
def test_people_in_another_order(tmp_path, joined):
    inside = ["f_i1", "f_i2", "f_i3"] if joined else ["i1", "i2", "i3"]
    path = write_bgen(tmp_path / "x.bgen", [hard(0, 1, 2)], names=inside)
    write_sample(tmp_path / "x.sample", [("f", "i1"), ("f", "i3"), ("f", "i2")])
    refused(path, r"x\.sample, line 4: (f_)?i3 is person 2 here, but person 3 of the genotype file")


def refused(path, message, **arguments):
    with pytest.raises(DataError, match=message) as caught:
        open_bgen(path, **arguments)
    assert "\n" not in str(caught.value)


def test_nothing_says_who(tmp_path):
    path = write_bgen(tmp_path / "x.bgen", [hard(0, 1, 2)])
    refused(path, r"x\.bgen does not say who was genotyped.*x\.sample.* \(--sample; sample= in Python\)")
    refused(path, r"There is no file .*y\.sample", sample=tmp_path / "y.sample")
    write_sample(tmp_path / "x.sample", [("f", "a"), ("f", "b")])
    refused(path, r"has genotypes of 3 people, but its \.sample file lists 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1: a \.sample file begins with .* ID_1 ID_2 missing, and not with an empty line"),
        ("FID IID\n0 0\na b", r"line 1: .* and not with FID IID"),
        ("ID_1 ID_2 missing\nf a 0\ng b 0\n", r"line 2: the second line .* gives the kinds"),
        ("ID_1 ID_2 missing\n", r"line 2: the second line"),
        ("ID_1 ID_2 missing\n0 0 0\n", r"lists nobody"),
        ("ID_1 ID_2 missing\n0 0 0\nf a 0\n\nf b\n", r"line 5: 2 columns, but line 1 names 3"),
        ("ID_1 ID_2 missing\n0 0 0\nf a 0\nf a 0\n", r"lines 3 and 4: two people are called f a"),
        ("ID_1 ID_2 missing\n0 0 0\nf \xe9 0\n", r"line 3: the byte 0xe9 is not UTF-8"),
    ],
)
def test_lines(tmp_path, text, message):
    file = tmp_path / "x.sample"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=rf"x\.sample.*{message}") as caught:
        read_sample(file)
    assert "\n" not in str(caught.value)


def test_twins_inside(tmp_path):
    path = write_bgen(tmp_path / "x.bgen", [hard(0, 1, 2)], names=["a", "b", "a"])
    refused(path, r"x\.bgen, people 1 and 3: two people are called 0 a")


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(max_size=60), st.text(alphabet="ID_12 0misngx\t\r\né", max_size=60).map(
    lambda text: b"ID_1 ID_2 missing\n0 0 0\n" + text.encode()
)))  # fmt: skip
def test_any_text(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("text") / "x"
    file.write_bytes(content)
    try:
        samples = read_sample(file)
    except DataError:
        return
    assert samples.n == len(set(zip(samples.fid.tolist(), samples.iid.tolist(), strict=True))) > 0


# What is refused


def test_without_the_library(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bgen", None)
    refused(path, r'Reading BGEN files needs bgen: install it with  pip install "henderson\[bgen\]"')


def test_no_bgen_file(path, tmp_path):
    refused(path.with_name("cohrt.bgen"), r"There is no file .*cohrt\.bgen; did you mean .*cohort\.bgen\?")
    path.write_bytes(b"")
    refused(path, r"cohort\.bgen is empty")
    path.write_bytes(bytes(16) + b"bgen")
    refused(path, r"cut short \(it has 20 bytes, fewer than the shortest header\)")
    path.write_bytes(b"##fileformat=VCFv4.2\n##contig=<ID=1>")
    refused(path, r"is no BGEN file: its bytes 17 to 20 are 76 34 2e 32 instead of 62 67 65 6e")


def test_more_than_two_chromosomes(tmp_path):
    variant = (2, {"genotypes": np.eye(4)[[0, 1]], "ploidy": 3})
    source = open_bgen(write_bgen(tmp_path / "x.bgen", [variant], names=names(2)))
    with pytest.raises(DataError, match="at the variant rs1 somebody has 3 chromosomes"):
        source.read(slice(0, 1))


def test_an_index_of_another_file(path, tmp_path):
    other = write_bgen(tmp_path / "other.bgen", [hard(0, 1, 2, 0)] * 2, names=["longer"] * 4, index=True)
    shutil.copy(other.with_name("other.bgen.bgi"), path.with_name("cohort.bgen.bgi"))
    source = open_bgen(path)
    with pytest.raises(
        DataError, match=r"cohort\.bgen\.bgi is damaged, or the index of another file; delete"
    ):
        source.read(slice(0, 1))
    with pytest.raises(DataError, match=r"cohort\.bgen\.bgi is damaged"):
        source.read(slice(2, 3))
    path.with_name("cohort.bgen.bgi").write_bytes(b"no database at all")
    with pytest.raises(DataError, match=r"cohort\.bgen\.bgi is damaged"):
        open_bgen(path).read(slice(0, 1))


@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
def test_cut_short_anywhere(tmp_path, compression):
    path = write_bgen(
        tmp_path / "x.bgen", [hard(0, 1, 2), hard(2, 1, 0)], names=names(3), compression=compression
    )
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"x\.bgen"):
            open_bgen(path)
    path.write_bytes(whole + b"\0")
    refused(path, r"x\.bgen is damaged")


@pytest.mark.parametrize("compression", [None, "zlib", "zstd"])
def test_bytes_changed(tmp_path, compression):
    rng = np.random.default_rng(5)
    variants = [
        random_variant(rng, 12, k, bits=8, phased=phased, ploidy=rng.integers(1, 3, 12))[0]
        for k, phased in [(2, False), (3, False), (2, True), (3, True)]
    ]
    path = write_bgen(tmp_path / "x.bgen", variants, names=names(12), compression=compression)
    whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    refusals = 0
    for _ in range(300):
        changed = whole.copy()
        where = rng.integers(0, len(whole) if rng.random() < 0.5 else 120, rng.integers(1, 4))
        changed[where] = rng.integers(0, 256, len(where))
        path.write_bytes(changed.tobytes())
        try:
            dosages = open_bgen(path).read(slice(0, None))
        except DataError:
            refusals += 1
            continue
        assert (np.isnan(dosages) | ((dosages > -0.011) & (dosages < 2.011))).all()
    assert refusals > 100


def test_a_variant_of_one_allele_has_no_row(caplog, tmp_path):
    with caplog.at_level(logging.WARNING, "henderson"):
        variant, allele = rows_per_allele(np.array([1, 0, 3]), tmp_path / "x.bgen")
    assert variant.tolist() == [0, 2, 2, 2]
    assert allele.tolist() == [1, 1, 2, 3]
    assert "x.bgen: 1 of 3 variants have one allele only; they are left out" in caplog.text
