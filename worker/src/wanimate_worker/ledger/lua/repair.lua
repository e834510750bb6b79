-- Puts every slot back under the clock. No script leaves one outside it; this is for a database that was edited by
-- hand or restored from an incomplete copy.
-- KEYS: slots, due
-- Returns: how many slots were found without a due time
local repaired = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if not redis.call('ZSCORE', KEYS[2], id) then
    redis.call('ZADD', KEYS[2], now_ms(), id)
    repaired = repaired + 1
  end
end
return repaired
