-- Writes the account's limits where none are known, pairs of field and value; those that are known stay.
-- Uses: limits
-- Returns: whether they were written
return fill_limits(fields)
