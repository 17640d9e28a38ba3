"""Every knob of the product; read once, at start."""
