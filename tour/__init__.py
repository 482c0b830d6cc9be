"""The tour: experiments that show each claim of its pages on this code, and could fail.

`python -m tour` runs them all, `python -m tour positions --quick` one of them at a tiny size. An experiment
is a module here with `run(settings)`; what it leaves is written by `tour.report`, and what it trains is
trained by `tour.learn`.
"""
