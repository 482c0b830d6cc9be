"""The plan: which settings fit the data and the machine, each with its reason."""
