"""The parts of scripts/services: one module a server, and what they share."""
