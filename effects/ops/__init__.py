"""Image operations on torch that effects share: batched, float32, (N, C, H, W); torch is imported at the top."""
