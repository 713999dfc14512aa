"""The media of the demo; README.md has their licences."""
