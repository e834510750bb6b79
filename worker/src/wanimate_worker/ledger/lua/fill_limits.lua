-- Writes the account's limits where none are known; those that are known stay.
-- KEYS: limits
-- ARGV: pairs: field, value
-- Returns: 1 if they were written
return fill_limits(KEYS[1], ARGV, 1)
