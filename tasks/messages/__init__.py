"""What goes over the broker: queues, messages that carry ids and nothing else, and those that were given up."""
