"""The exceptions that henderson raises for what a user can mend."""


class HendersonError(ValueError):
    """Bad input: one sentence that names the place and the mend."""


class FormulaError(HendersonError):
    """A formula that cannot be read; the message underlines the spot."""


class DataError(HendersonError):
    """A table or an array that does not fit the model; the message names the column, row or level."""


class ModelNotSupportedError(HendersonError):
    """A valid model that the chosen engine does not solve; the message says which part and what would."""
