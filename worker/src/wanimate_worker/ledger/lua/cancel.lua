-- Cancels a job that was not submitted yet. One that no worker has recorded is settled in advance, so that its
-- message, when it comes, ends as cancelled.
-- KEYS: job, waiting, slots, due, gate, limits, tally, unknown, parked
-- ARGV: job id, outcome (JSON), lease (ms), most grants, time to live of an advance record (ms)
-- Returns: {'cancelled' | 'advance' | 'billed' | 'unknown' | 'finished', granted job ids...}. Unknown: it is being sent
--          or its answer was lost, and nothing was changed; or its record was lost while it had a slot.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id = ARGV[1]
local stage = redis.call('HGET', job, 'stage')
local now = now_ms()
if stage == 'submitting' or stage == 'unknown' then
  return {'unknown'}
end
if not stage then
  redis.call('HSET', job, 'stage', 'settled', 'outcome', ARGV[2], 'settled_at_ms', now)
  redis.call('PEXPIRE', job, ARGV[5])
  count(KEYS[7], {'ended:cancelled', 1})
  -- What a lost record left behind would stay taken for as long as this record lives: nobody would forget it.
  redis.call('ZREM', waiting, id)
  local had_slot = redis.call('ZREM', slots, id) == 1
  redis.call('ZREM', due, id)
  redis.call('ZREM', KEYS[8], id)
  redis.call('ZREM', KEYS[9], id)
  local freed = grant(waiting, slots, due, gate, limits, tonumber(ARGV[3]), tonumber(ARGV[4]))
  table.insert(freed, 1, had_slot and 'unknown' or 'advance')
  return freed
end
if stage == 'settled' or stage == 'delivered' then
  return {'finished'}
end
if stage ~= 'waiting' then
  return {'billed'}
end
redis.call('HSET', job, 'stage', 'settled', 'outcome', ARGV[2], 'settled_at_ms', now)
note(job, now, 'settled', 'cancelled')
count(KEYS[7], {'ended:cancelled', 1})
redis.call('ZREM', waiting, id)
redis.call('ZREM', KEYS[9], id)
redis.call('ZREM', slots, id)
redis.call('ZADD', due, now + tonumber(ARGV[3]), id)
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[3]), tonumber(ARGV[4]))
table.insert(granted, 1, 'cancelled')
return granted
