"""Signs of trouble in a run, looked for while it trains and afterwards."""

from headway.diagnosis.examination import examine
from headway.diagnosis.finding import Finding

__all__ = ["Finding", "examine"]
