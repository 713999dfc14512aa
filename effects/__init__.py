"""Effects: the contract, the registry, the runner that applies them, and one file an effect in library/."""
