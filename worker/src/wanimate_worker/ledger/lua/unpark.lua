-- Puts a parked job in line, at its old place, and hands out free slots.
-- KEYS: job, waiting, slots, due, gate, limits, parked
-- ARGV: job id, lease (ms), most grants
-- Returns: {'unparked' | 'kept', granted job ids...}. Kept: it is not parked, or its record is gone.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id = ARGV[1]
local fields = redis.call('HMGET', job, 'stage', 'rank', 'deadline_at_ms')
if fields[1] ~= 'waiting' or redis.call('ZREM', KEYS[7], id) == 0 then
  return {'kept'}
end
line_up(waiting, due, id, fields[2], fields[3])
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[2]), tonumber(ARGV[3]))
table.insert(granted, 1, 'unparked')
return granted
