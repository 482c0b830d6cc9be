"""The documentation site: its reference from the code, its pages from docs/, built strictly into site/."""
