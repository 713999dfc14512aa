"""Neural networks that effects load; these modules import torch, the effects that use them do not."""
