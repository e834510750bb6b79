-- Gives every slot and every parked job a due time, and takes jobs without a slot off the list of unknown ones.
-- No script leaves such; this is for a database that was edited by hand or restored from an incomplete copy.
-- Keys: slots, due, unknown, parked
-- Returns: how many were found without a due time
local repaired = 0
for _, ids in ipairs({redis.call('ZRANGE', slots, 0, -1), redis.call('ZRANGE', parked, 0, -1)}) do
  for _, id in ipairs(ids) do
    if not redis.call('ZSCORE', due, id) then
      redis.call('ZADD', due, now_ms(), id)
      repaired = repaired + 1
    end
  end
end
for _, id in ipairs(redis.call('ZRANGE', unknown, 0, -1)) do
  if not redis.call('ZSCORE', slots, id) then
    redis.call('ZREM', unknown, id)
  end
end
return repaired
