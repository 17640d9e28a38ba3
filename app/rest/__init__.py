"""What all routes of the admin API share: lists, versions of a resource, repeated requests, limits."""
