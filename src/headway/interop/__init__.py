"""Your model elsewhere, and others' models here: converted by data, and proved on text."""
