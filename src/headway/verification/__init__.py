"""The laws that any model must obey, checked on the user's own."""
