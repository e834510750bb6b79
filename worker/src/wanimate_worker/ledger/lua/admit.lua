-- Records new jobs, in their order, and grants free slots, perhaps to them, perhaps to jobs that waited longer. Each job
-- comes as nine values: id, priority (0..9), message (JSON), request (JSON), deadline (ms from now) or '', fingerprint of
-- the request, bill: ms of video, then labels (JSON), who calls, 1 if it has an idempotency key; and two keys: its record,
-- and the request of the idempotency key.
-- Keys: failed, enqueued
-- Uses: job, queue, events, grant
-- Settings: lease_ms, result_ttl_ms
-- Returns: for each job what became of it, who called first, and its id if it must go on, or ''; then granted job ids.
--          'recorded'. 'known': this id was recorded before with the same request; nothing was changed, but one that was
--          cancelled in advance gets a due time and must be delivered. 'conflict': it was for
--          another request; nothing was changed. A failed job whose result has expired is not known any more, although
--          its record is kept for longer.
local now = now_ms()
local ids, fresh, ranked, timed = {}, {}, {}, {}

local function record_entry(request_key, priority, message, request, deadline_ms, fingerprint, bill, caller, has_key)
  local known = read_job('request', 'delivered_at_ms', 'fingerprint', 'caller', 'outcome')
  local is_over = known.stage == 'delivered' and (tonumber(known.delivered_at_ms) or 0) + result_ttl_ms <= now
  if known.stage and not is_over then
    if known.fingerprint and known.fingerprint ~= fingerprint then
      return 'conflict', ''
    end
    if known.stage == 'settled' and not known.request then
      known.request = request
      redis.call('HSET', job, 'message', message, 'request', request, 'fingerprint', fingerprint, 'caller', caller,
        'event_id', write_event(known, known.outcome))
      redis.call('ZADD', due, now + lease_ms, job_id)
      return 'known', caller, job_id
    end
    return 'known', known.caller or ''
  end
  if has_key == '1' then
    local claimed = redis.call('GET', request_key)
    if claimed and claimed ~= fingerprint then
      return 'conflict', ''
    end
    redis.call('SET', request_key, fingerprint, 'PX', claim_ttl_ms)
  end
  if is_over then
    -- Its result has expired: to enqueue it again is to ask for another run.
    redis.call('DEL', job)
  end
  -- Jobs of one batch keep their order.
  local rank = rank_of(tonumber(priority), now_us() + 8 * #fresh)
  local fields = {'rank', rank, 'attempts', 0, 'message', message, 'request', request, 'fingerprint', fingerprint,
    'bill', bill, 'caller', caller, 'has_key', has_key}
  fresh[#fresh + 1] = job_id
  append(ranked, {rank, job_id})
  if deadline_ms ~= '' then
    append(fields, {'deadline_at_ms', whole(now + tonumber(deadline_ms))})
    append(timed, {fields[#fields], job_id})
  end
  transition({}, 'waiting', 'recorded', nil, fields)
  return 'recorded', caller
end

local answer = {}
for at = 1, #jobs / 2 do
  local first = 9 * at - 8
  job, job_id, ids[at] = jobs[2 * at - 1], entries[first], entries[first]
  local verdict, caller, must_start = record_entry(jobs[2 * at], unpack(entries, first + 1, first + 8))
  append(answer, {verdict, caller, must_start or ''})
end
redis.call('ZREM', enqueued, unpack(ids))
if #fresh == 0 then
  return answer
end
-- What lost records of these ids left behind: a job never waits and holds a slot at once.
if redis.call('ZREM', due, unpack(fresh)) > 0 then
  redis.call('ZREM', slots, unpack(fresh))
  redis.call('ZREM', parked, unpack(fresh))
end
redis.call('ZREM', failed, unpack(fresh))
redis.call('ZADD', waiting, unpack(ranked))
if #timed > 0 then
  redis.call('ZADD', due, unpack(timed))
end
return grant_after(unpack(answer))
