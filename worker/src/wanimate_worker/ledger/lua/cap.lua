-- Reads the most slots that there may be now: the cap, lowered by a 429 for concurrency, and growing back.
-- Uses: gate, limits
-- Returns: the cap; 0 where the account's limits are not known
local known = read_limits()
return known and effective_cap(known.max_in_flight) or 0
