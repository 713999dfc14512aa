"""Pictures: decoded in a confined child, encoded, and their sizes read without a decoder."""
