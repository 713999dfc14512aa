"""A package for each effect, which registers exactly one, and holds all that no other effect uses."""
