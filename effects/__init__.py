"""Effects: the contract, the registry, the runner that applies them, and a package for each effect in library/."""
