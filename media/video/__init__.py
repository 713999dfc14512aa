"""Videos, frame by frame through ffmpeg: probed, decoded, encoded, cut and joined."""
