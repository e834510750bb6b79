-- Reads the most slots that there may be now: the cap, lowered by a 429 for concurrency, and growing back.
-- Uses: account
-- Returns: the cap; 0 where the account's limits are not known
local known = read_limits()
return known and effective_cap(known) or 0
