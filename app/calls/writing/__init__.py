"""From events of calls to rows, in order, in batches."""
