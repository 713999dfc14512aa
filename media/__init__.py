"""Media: sniffing, probing, the picture codec, video pipes and object storage."""
