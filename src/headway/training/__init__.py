"""The loop and what it needs: it knows batches and losses, never a task."""
