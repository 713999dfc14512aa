"""Neural networks, their weights and the models that an operator installs; these modules import torch."""
