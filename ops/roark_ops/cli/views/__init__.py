"""How what commands found is shown: one JSON document, or lines for a person."""
