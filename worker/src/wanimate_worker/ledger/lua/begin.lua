-- Claims the next step of a job for one run: to submit it or to deliver its outcome. Runs of the same job that come
-- twice or late get 'nothing', because the first one has moved the stage on.
-- KEYS: job, waiting, slots, due, gate, limits, budget, tally, billed, spent, balance
-- ARGV: job id, attempt nonce, submit lease (ms), deliver lease (ms), longest wait for a request permit (us), '1' if this
--       run already holds a permit
-- Returns: {'submit', attempt number, now (ms), slots held, waiting since (ms), request (JSON)}: the intent is written,
--          send the POST of this request now.
--          {'wait', ms}: a permit is reserved for then; call again, holding it.
--          {'later'}: the gate is closed, a limit of the day is reached, the balance is too low, or the account's limits are
--          not known; the job is back at its place in line.
--          {'busy', ms}: no permit within the longest wait; it is looked at again then.
--          {'deliver', outcome (JSON), attempts, waiting since (ms) or '', settled at (ms) or '', now (ms)}
--          {'nothing', stage or ''}; also when the job's deadline has passed: it is due, for a poll to settle it.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local budget, tally, billed, spent, balance = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local id, nonce = ARGV[1], ARGV[2]
local fields = redis.call('HMGET', job, 'stage', 'outcome', 'delivering_until_ms', 'rank', 'nonce', 'attempts',
  'deadline_at_ms', 'history', 'waiting_at_ms', 'settled_at_ms', 'request', 'bill')
local stage = fields[1]
local now = now_ms()

if stage == 'settled' then
  -- Further ahead than a lease was read on a clock that has been set back since.
  local until_ms = tonumber(fields[3]) or 0
  if until_ms > now and until_ms <= now + tonumber(ARGV[4]) then
    return {'nothing', stage}
  end
  redis.call('HSET', job, 'delivering_until_ms', now + tonumber(ARGV[4]))
  redis.call('ZADD', due, 'XX', now + tonumber(ARGV[4]), id)
  return {'deliver', fields[2], tonumber(fields[6]) or 0, fields[9] or '', fields[10] or '', now}
end

if stage == 'submitting' and fields[5] == nonce then
  -- The same call once more, because its answer was lost on the way: the POST has not been sent.
  return {'submit', tonumber(fields[6]), now, redis.call('ZCARD', slots), fields[9] or '', fields[11]}
end
local slot_since = redis.call('ZSCORE', slots, id)
if stage ~= 'waiting' or not slot_since then
  return {'nothing', stage or ''}
end
if fields[7] and tonumber(fields[7]) <= now then
  redis.call('ZADD', due, now, id)
  return {'nothing', stage}
end

local state, known, labels = may_submit(gate, now), limits_of(limits), cjson.decode(fields[12])
local cost = table.remove(labels, 1)
local micro_usd = known and cost_of(known, fields[11], cost)
if state and known and is_over_day(billed, spent, known, now, cost, micro_usd) then
  local midnight = (math.floor(now / 86400000) + 1) * 86400000
  redis.call('HSET', gate, 'limited_until_ms', whole(midnight), 'limited_need_ms', whole(cost),
    'limited_need_micro_usd', whole(micro_usd or 0))
  state = nil
end
if not state or not known or not weigh_balance(gate, balance, known, micro_usd or 0) then
  redis.call('ZREM', slots, id)
  line_up(waiting, due, id, fields[4], fields[7])
  return {'later'}
end

if ARGV[6] ~= '1' then
  -- GCRA: a request conforms once the theoretical arrival time is at most burst - 1 intervals ahead.
  local interval, at = known.emission_interval_us, now_us()
  local tat = math.max(tonumber(redis.call('GET', budget)) or 0, at)
  local wait = math.max(0, tat - at - interval * (known.burst - 1))
  if wait > tonumber(ARGV[5]) then
    local wait_ms = math.ceil(wait / 1000)
    redis.call('ZADD', due, now + wait_ms, id)
    return {'busy', wait_ms}
  end
  tat = tat + interval
  redis.call('SET', budget, whole(tat), 'PX', math.ceil((tat - at) / 1000) + 1000)
  if wait > 0 then
    return {'wait', math.ceil(wait / 1000)}
  end
end

if state.trial_at_ms then
  -- Nobody else is tried until this one is answered, or its lease ends.
  redis.call('HSET', gate, 'trial', nonce, 'trial_at_ms', now + tonumber(ARGV[3]))
end
local attempt = tonumber(fields[6] or 0) + 1
local history = noted(fields[8], tonumber(slot_since), 'admitted', 'slot')
redis.call('HSET', job, 'stage', 'submitting', 'nonce', nonce, 'begun_at_ms', now, 'attempts', attempt,
  'history', noted(history, now, 'submitting', table.concat({'attempt', attempt}, ' ')),
  'billed', bill(billed, spent, now, cost, micro_usd, labels))
if micro_usd then
  redis.call('HSET', job, 'billed_micro_usd', whole(micro_usd))
  redis.call('HINCRBY', balance, 'sent_micro_usd', micro_usd)
end
count(tally, {'submits', 1})
redis.call('ZADD', due, now + tonumber(ARGV[3]), id)
return {'submit', attempt, now, redis.call('ZCARD', slots), fields[9] or '', fields[11]}
