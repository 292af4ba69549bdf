"""Speed and scale: data path, step, inference, processes."""
