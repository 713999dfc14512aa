"""Image operations on torch that two or more effects use: batched, float32, (N, C, H, W); they import torch."""
