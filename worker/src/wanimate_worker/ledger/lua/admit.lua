-- Records a new job and hands out free slots, perhaps to this job, perhaps to one that waited longer.
-- KEYS: job, waiting, slots, due, gate, limits, failed, request of the idempotency key, enqueued, parked
-- ARGV: job id, priority (0..9), message (JSON), request (JSON), lease (ms), most grants,
--       deadline (ms from now) or '', how long results are kept (ms), fingerprint of the request,
--       bill: ms of video, then labels (JSON), who calls, how long the use of a key is remembered (ms) or '' without a key
-- Returns: {'recorded' | 'known' | 'conflict', who called first, job ids to resume...}. Known: this id was recorded
--          before with the same request; nothing was changed, but one that was cancelled in advance is put under the clock
--          and must be resumed, to be delivered. Conflict: it was for another request; nothing was changed.
--          A failed job whose result has expired is not known any more, although its record is kept for longer.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, priority = ARGV[1], tonumber(ARGV[2])
local now = now_us()
redis.call('ZREM', KEYS[9], id)
local known = redis.call('HMGET', job, 'stage', 'request', 'delivered_at_ms', 'fingerprint', 'caller')
local is_over = known[1] == 'delivered' and (tonumber(known[3]) or 0) + tonumber(ARGV[8]) <= now / 1000
if known[1] and not is_over and known[4] and known[4] ~= ARGV[9] then
  return {'conflict', ''}
end
if known[1] == 'settled' and not known[2] then
  redis.call('HSET', job, 'message', ARGV[3], 'request', ARGV[4], 'fingerprint', ARGV[9], 'caller', ARGV[11])
  redis.call('ZADD', due, math.floor(now / 1000) + tonumber(ARGV[5]), id)
  return {'known', ARGV[11], id}
end
if known[1] and not is_over then
  return {'known', known[5] or ''}
end
if ARGV[12] ~= '' then
  local claimed = redis.call('GET', KEYS[8])
  if claimed and claimed ~= ARGV[9] then
    return {'conflict', ''}
  end
  redis.call('SET', KEYS[8], ARGV[9], 'PX', ARGV[12])
end
if is_over then
  -- Nobody could read its result any more: whoever enqueues it again wants another run.
  redis.call('DEL', job)
end
-- What a lost record of this id left behind: a job is never in line and in a slot at once.
redis.call('ZREM', slots, id)
redis.call('ZREM', due, id)
redis.call('ZREM', KEYS[10], id)
redis.call('ZREM', KEYS[7], id)
local rank = rank_of(priority, now)
local deadline
redis.call('HSET', job,
  'stage', 'waiting', 'rank', rank, 'attempts', 0,
  'message', ARGV[3], 'request', ARGV[4], 'fingerprint', ARGV[9], 'bill', ARGV[10], 'caller', ARGV[11],
  'has_key', ARGV[12] ~= '' and 1 or 0, 'waiting_at_ms', whole(math.floor(now / 1000)))
if ARGV[7] ~= '' then
  deadline = whole(math.floor(now / 1000) + tonumber(ARGV[7]))
  redis.call('HSET', job, 'deadline_at_ms', deadline)
end
line_up(waiting, due, id, rank, deadline)
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[5]), tonumber(ARGV[6]))
table.insert(granted, 1, ARGV[11])
table.insert(granted, 1, 'recorded')
return granted
