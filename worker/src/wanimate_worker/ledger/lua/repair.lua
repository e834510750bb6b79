-- Puts every slot and every parked job back under the clock, and takes jobs without a slot off the list of unknown ones.
-- No script leaves such; this is for a database that was edited by hand or restored from an incomplete copy.
-- KEYS: slots, due, unknown, parked
-- Returns: how many were found without a due time
local repaired = 0
for _, ids in ipairs({redis.call('ZRANGE', KEYS[1], 0, -1), redis.call('ZRANGE', KEYS[4], 0, -1)}) do
  for _, id in ipairs(ids) do
    if not redis.call('ZSCORE', KEYS[2], id) then
      redis.call('ZADD', KEYS[2], now_ms(), id)
      repaired = repaired + 1
    end
  end
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  if not redis.call('ZSCORE', KEYS[1], id) then
    redis.call('ZREM', KEYS[3], id)
  end
end
return repaired
