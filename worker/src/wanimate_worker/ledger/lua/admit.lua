-- Records a new job and hands out free slots, perhaps to this job, perhaps to one that waited longer.
-- KEYS: job, waiting, slots, due, gate, limits, failed
-- ARGV: job id, priority (0..9), message (JSON), request (JSON), lease (ms), most grants,
--       deadline (ms from now) or '', how long results are kept (ms)
-- Returns: {'recorded' | 'known', job ids to resume...}. Known: this id was recorded before; nothing was changed, but
--          one that was cancelled in advance is put under the clock and must be resumed, to be delivered.
--          A failed job whose result has expired is not known any more, although its record is kept for longer.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, priority = ARGV[1], tonumber(ARGV[2])
local now = now_us()
local known = redis.call('HMGET', job, 'stage', 'request', 'delivered_at_ms')
if known[1] == 'settled' and not known[2] then
  redis.call('HSET', job, 'message', ARGV[3], 'request', ARGV[4])
  redis.call('ZADD', due, math.floor(now / 1000) + tonumber(ARGV[5]), id)
  return {'known', id}
end
if known[1] == 'delivered' and (tonumber(known[3]) or 0) + tonumber(ARGV[8]) <= now / 1000 then
  -- Nobody could read its result any more: whoever enqueues it again wants another run.
  redis.call('DEL', job)
elseif known[1] then
  return {'known'}
end
-- What a lost record of this id left behind: a job is never in line and in a slot at once.
redis.call('ZREM', slots, id)
redis.call('ZREM', due, id)
redis.call('ZREM', KEYS[7], id)
local rank = rank_of(priority, now)
local deadline
redis.call('HSET', job,
  'stage', 'waiting', 'rank', rank, 'attempts', 0,
  'message', ARGV[3], 'request', ARGV[4], 'waiting_at_ms', whole(math.floor(now / 1000)))
if ARGV[7] ~= '' then
  deadline = whole(math.floor(now / 1000) + tonumber(ARGV[7]))
  redis.call('HSET', job, 'deadline_at_ms', deadline)
end
line_up(waiting, due, id, rank, deadline)
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[5]), tonumber(ARGV[6]))
table.insert(granted, 1, 'recorded')
return granted
