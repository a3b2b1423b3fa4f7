"""What a comparison with all orders needs: a history that asserts nothing has an order."""

from dissever.harness.results import Result, Verdict


def settled(result: Result) -> Verdict:
    """The verdict of a checker; valid where it is unknown only because nothing was asserted."""
    nothing = result.details.get("keys") and not result.anomalies
    if nothing and result.details["unchecked"] == result.details["keys"]:
        assert result.verdict is Verdict.UNKNOWN
        return Verdict.VALID
    return result.verdict
