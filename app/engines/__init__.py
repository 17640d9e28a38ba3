"""What hears, thinks and speaks, behind one port each."""
