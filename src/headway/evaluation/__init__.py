"""How good output is: measures with confidence intervals, baselines, comparisons."""
