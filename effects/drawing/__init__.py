"""The styles of `anime`, a file each, and what they share; torch is imported at the top."""
