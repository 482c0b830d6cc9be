"""One family of another library's models a file: rules, a name map and a config map, as data."""
