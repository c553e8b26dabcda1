"""How each program names the columns of its summary statistics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from henderson.errors import DataError

#: What a cell may hold; see `LIMITS`.
Kind = Literal["text", "number", "position", "p", "log_p", "proportion", "count", "size"]

#: Smallest and largest value of each kind of number, a rounding's width beyond the true ones, and in words.
LIMITS: Mapping[Kind, tuple[float, float, str]] = {
    "p": (0.0, 1 + 1e-6, "a p-value lies between 0 and 1"),
    "log_p": (-1e-6, float("inf"), "-log10 of a p-value is not negative"),
    "proportion": (-1e-4, 1 + 1e-4, "a frequency lies between 0 and 1"),
    "count": (0.0, float("inf"), "a number of people is not negative"),
    "size": (0.0, float("inf"), "a standard error or an odds ratio is not negative"),
}

#: The columns of `read_sumstats` that every table has, as those of a scan.
COLUMNS: Mapping[str, Kind] = {
    "chromosome": "text",
    "base_pair_location": "position",
    "effect_allele": "text",
    "other_allele": "text",
    "beta": "number",
    "standard_error": "size",
    "effect_allele_frequency": "proportion",
    "p_value": "p",
    "neg_log_10_p_value": "log_p",
    "rsid": "text",
    "n": "count",
}
#: Those that a table has only if the file does, and what the former are made from.
OTHERS: Mapping[str, Kind] = {
    "info": "number",
    "status": "text",
    "test": "text",
    "odds_ratio": "size",
    "statistic": "number",
    "z": "number",
    "ref": "text",
    "alt": "text",
    "n_cases": "count",
    "n_controls": "count",
}


def refuse_several_traits(traits: Sequence[object], name: str) -> None:
    """Refuse a table ``name`` of a scan with these different values in its column ``trait``."""
    if len(traits) > 1:
        shown = ", ".join(map(str, traits[:3])) + (", ..." if len(traits) > 3 else "")
        raise DataError(
            f"{name} has the rows of {len(traits):,} traits ({shown}), and one is wanted: choose its rows "
            "by the column trait."
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """One program's file.

    Attributes
    ----------
    name : str
        What to call it.
    needs : frozenset of str
        Columns by which it is recognised: all must be there.
    columns : mapping of str to tuple of str
        For each of `COLUMNS` and `OTHERS`, what the program calls it; the first one that is there counts.
    """

    name: str
    needs: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]

    def found(self, names: Iterable[str]) -> dict[str, str]:
        """For each of our names the column of a file with this header."""
        there = set(names)
        best = {
            ours: next((name for name in theirs if name in there), None)
            for ours, theirs in self.columns.items()
        }
        return {ours: name for ours, name in best.items() if name is not None}


def _layout(name: str, needs: str, **columns: str) -> Layout:
    """A layout from words with spaces between."""
    named = {ours: tuple(theirs.split()) for ours, theirs in columns.items()}
    return Layout(name, frozenset(needs.split()), named)


#: In the order in which they are tried.
LAYOUTS = (
    _layout(
        "GWAS-SSF", "chromosome base_pair_location effect_allele other_allele",
        **{name: name for name in COLUMNS if name not in {"rsid", "n"}},
        rsid="rsid variant_id", n="n", info="info", status="status", odds_ratio="odds_ratio hazard_ratio",
    ),
    # .glm.linear, .glm.logistic, .glm.logistic.hybrid, .glm.firth
    _layout(
        "PLINK 2", "CHROM ID A1 TEST",
        chromosome="CHROM", base_pair_location="POS", effect_allele="A1", other_allele="OMITTED AX",
        ref="REF", alt="ALT", beta="BETA", odds_ratio="OR", standard_error="SE LOG(OR)_SE",
        effect_allele_frequency="A1_FREQ", p_value="P", neg_log_10_p_value="NEG_LOG10_P LOG10_P", rsid="ID",
        n="OBS_CT", info="MACH_R2", status="ERRCODE", test="TEST",
    ),
    _layout(
        "REGENIE", "CHROM GENPOS ID ALLELE0 ALLELE1 BETA SE LOG10P",
        chromosome="CHROM", base_pair_location="GENPOS", effect_allele="ALLELE1", other_allele="ALLELE0",
        beta="BETA", standard_error="SE", effect_allele_frequency="A1FREQ", neg_log_10_p_value="LOG10P",
        rsid="ID", n="N", info="INFO", status="EXTRA", test="TEST",
    ),
    _layout(
        "BOLT-LMM", "SNP CHR BP ALLELE1 ALLELE0 A1FREQ",
        chromosome="CHR", base_pair_location="BP", effect_allele="ALLELE1", other_allele="ALLELE0",
        beta="BETA", standard_error="SE", effect_allele_frequency="A1FREQ",
        p_value="P_BOLT_LMM P_BOLT_LMM_INF P_LINREG", rsid="SNP", info="INFO",
    ),
    _layout(
        "SAIGE", "CHR POS Allele1 Allele2 p.value",
        chromosome="CHR", base_pair_location="POS", effect_allele="Allele2", other_allele="Allele1",
        beta="BETA", standard_error="SE", effect_allele_frequency="AF_Allele2", p_value="p.value",
        rsid="MarkerID SNPID rsid", n="N", n_cases="N_case N.Cases", n_controls="N_ctrl N.Controls",
        info="imputationInfo",
    ),
    _layout(
        "GEMMA", "chr rs ps allele1 allele0 af",
        chromosome="chr", base_pair_location="ps", effect_allele="allele1", other_allele="allele0",
        beta="beta", standard_error="se", effect_allele_frequency="af", p_value="p_wald p_lrt p_score",
        rsid="rs", n="n_obs",
    ),
    _layout(
        "GCTA fastGWA", "CHR SNP POS A1 A2 AF1 P",
        chromosome="CHR", base_pair_location="POS", effect_allele="A1", other_allele="A2", beta="BETA",
        standard_error="SE", effect_allele_frequency="AF1", p_value="P", rsid="SNP", n="N", info="INFO",
    ),
    _layout(
        "GCTA MLMA", "Chr SNP bp A1 A2 Freq b se p",
        chromosome="Chr", base_pair_location="bp", effect_allele="A1", other_allele="A2", beta="b",
        standard_error="se", effect_allele_frequency="Freq", p_value="p", rsid="SNP",
    ),
    _layout(
        "GCTA-COJO", "SNP A1 A2 freq b se p N",
        effect_allele="A1", other_allele="A2", beta="b", standard_error="se",
        effect_allele_frequency="freq", p_value="p", rsid="SNP", n="N",
    ),
    _layout(
        "LDAK", "Chromosome Predictor Basepair A1 A2 Wald_P",
        chromosome="Chromosome", base_pair_location="Basepair", effect_allele="A1", other_allele="A2",
        beta="Effect", standard_error="SE", p_value="Wald_P", rsid="Predictor",
    ),
    # Its weights are per standard deviation of the variant, and of an allele that it does not name.
    _layout(
        "FaST-LMM", "SNP Chr ChrPos PValue SnpWeight",
        chromosome="Chr", base_pair_location="ChrPos", p_value="PValue", rsid="SNP",
    ),
    _layout("LDSC", "SNP A1 A2 Z N", effect_allele="A1", other_allele="A2", z="Z", rsid="SNP", n="N"),
    # .assoc, .qassoc, .assoc.linear, .assoc.logistic, .assoc.fisher
    _layout(
        "PLINK 1", "CHR SNP BP P",
        chromosome="CHR", base_pair_location="BP", effect_allele="A1", other_allele="A2", beta="BETA",
        odds_ratio="OR", standard_error="SE", statistic="STAT", p_value="P", rsid="SNP", n="NMISS",
        test="TEST",
    ),
)  # fmt: skip


def recognised(names: Iterable[str]) -> Layout | None:
    """The layout of a file with these columns, or none.

    Examples
    --------
    >>> recognised(["SNP", "A1", "A2", "freq", "b", "se", "p", "N"]).name
    'GCTA-COJO'
    """
    there = set(names)
    return next((layout for layout in LAYOUTS if layout.needs <= there), None)
