-- Puts a failed job in line again, under the same id, as if it had just arrived.
-- KEYS: job, waiting, slots, due, gate, limits, failed
-- ARGV: job id, priority (0..9), deadline (ms from now) or '', lease (ms), most grants, cause
-- Returns: {'retried' | 'undelivered' | 'no', granted job ids...}. Undelivered: its failure is being delivered right
--          now. No: it is not a failed job.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id = ARGV[1]
local fields = redis.call('HMGET', job, 'stage', 'message')
if not redis.call('ZSCORE', KEYS[7], id) or not fields[2] then
  return {'no'}
end
if fields[1] == 'settled' then
  return {'undelivered'}
end
if fields[1] ~= 'delivered' then
  return {'no'}
end
local now = now_us()
local rank = rank_of(tonumber(ARGV[2]), now)
local at_ms = math.floor(now / 1000)
redis.call('HSET', job, 'stage', 'waiting', 'rank', rank)
redis.call('HDEL', job, 'outcome', 'settled_at_ms', 'delivered_at_ms', 'submitted_at_ms', 'task_id', 'unknown_why',
  'deadline_at_ms', 'retries', 'transient_code', 'transient_task', 'refusals', 'refused_at_ms', 'proofs')
note(job, at_ms, 'waiting', ARGV[6])
redis.call('PERSIST', job)
redis.call('ZREM', KEYS[7], id)
local deadline
if ARGV[3] ~= '' then
  deadline = whole(at_ms + tonumber(ARGV[3]))
  redis.call('HSET', job, 'deadline_at_ms', deadline)
end
line_up(waiting, due, id, rank, deadline)
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[4]), tonumber(ARGV[5]))
table.insert(granted, 1, 'retried')
return granted
