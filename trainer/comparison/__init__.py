"""Several runs beside each other: figures and paired statistics."""
