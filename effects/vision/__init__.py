"""Finds faces, bodies and people in pictures, and keeps them steady in videos; nothing here identifies anyone."""
