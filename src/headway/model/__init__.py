"""The network: one attention, one layer, one stack; three short models."""
