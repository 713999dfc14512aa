"""Programs that read strangers' bytes: started with a bare environment, confined, limited, and ended."""
