"""The steps of the work after a call, one file each."""
