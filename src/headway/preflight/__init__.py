"""What is checked before the first step of a run: text, held-out text, and the fresh model."""
