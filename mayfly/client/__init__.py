"""The producer's side, in parts: an upload is begun, its bytes are stored and it is completed; then it is watched, its
result fetched, or it is cancelled. `Client` has all of it, and comes from `mayfly`.
"""
