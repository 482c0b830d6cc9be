"""How many steps fill the minutes of a run: measured, then fixed unless the machine's speed changes."""

from dataclasses import dataclass

LOOK_SHARE = 0.1
"""The speed is looked at whenever this share of the minutes, or of the steps, has passed."""
LOOK_STEPS = 20
"""Steps that must have been measured since, unless they take too long."""
LATEST_SHARE = 0.5
"""Share of the minutes that may pass between looks, however few steps were measured."""
TOLERANCE = 0.05
"""By how much the expected number of steps must change to be fixed anew."""


@dataclass
class TimeFit:
    """Steps in place of seconds, so that the schedule is a function of the step, as a resumed run needs.

    Progress goes in a line from where it was when the end was last fixed, to 1 there.
    """

    looked_at: int = 0
    looked_seconds: float = 0.0
    """Where the last look was, from which the speed is measured."""
    fixed_at: int = 0
    fixed_progress: float = 0.0
    steps: int | None = None
    """The step at which the run ends; None until the speed is known."""

    def progress(self, step: int) -> float:
        """How far the run is, in [0, 1]; 0 until the speed is known."""
        if self.steps is None:
            return 0.0
        passed = (step - self.fixed_at) / max(1, self.steps - self.fixed_at)
        return min(1.0, self.fixed_progress + (1 - self.fixed_progress) * passed)

    def look(self, step: int, seconds: float, minutes: float) -> None:
        """When a look is due, fix the end, or fix it anew if the speed has changed."""
        budget, measured, lasted = minutes * 60, step - self.looked_at, seconds - self.looked_seconds
        ahead = self.steps is not None and measured >= LOOK_SHARE * (self.steps - self.fixed_at)
        if lasted < LOOK_SHARE * budget and not ahead:
            return
        if measured < LOOK_STEPS and lasted < LATEST_SHARE * budget:
            return
        expected = step + max(0, round(measured / lasted * (budget - seconds)))
        if self.steps is None or abs(expected - self.steps) > TOLERANCE * self.steps:
            self.fixed_at, self.fixed_progress, self.steps = step, self.progress(step), expected
        self.looked_at, self.looked_seconds = step, seconds
