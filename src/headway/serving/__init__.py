"""A server for trained models: HTTP interfaces over one running batch a model."""
