"""What each adapter costs beside its library called bare."""
