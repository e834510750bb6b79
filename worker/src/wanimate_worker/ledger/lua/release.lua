-- Gives a slot back and puts the job at its old place among the waiting, or behind those of its priority, now or after a
-- delay: the vendor surely does not have the task, or its task has failed and the job shall run again, or the job opted in
-- to resubmission. Hands the slot on, unless the gate is closed.
-- KEYS: job, waiting, slots, due, gate, limits, billed, unknown, parked, tally, spent, balance
-- ARGV: job id, attempt nonce, lease (ms), most grants, why, '1' if the vendor surely did not accept the submission,
--       where a lost submission is given up: '=' and the task id that a callback had named when that was decided, else '',
--       '1' if the job goes behind the others of its priority, '1' if its task has run, after how long it is in line again
--       (ms), 0 for at once, the transient code that its task failed with or ''
-- Returns: {'released' | 'lost', granted job ids...}
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id = ARGV[1]
local fields = redis.call('HMGET', job, 'stage', 'nonce', 'rank', 'deadline_at_ms', 'billed', 'hint', 'task_id',
  'billed_micro_usd')
local is_open = fields[1] == 'submitting' or fields[1] == 'unknown'
if ARGV[9] == '1' then
  is_open = fields[1] == 'running'
end
if fields[2] ~= ARGV[2] or not is_open then
  return {'lost'}
end
if ARGV[7] ~= '' and ARGV[7] ~= table.concat({'=', fields[6] or ''}) then
  -- A callback has named its task meanwhile: sent again it would be paid twice.
  return {'lost'}
end
redis.call('HSET', job, 'stage', 'waiting')
if ARGV[11] ~= '' then
  redis.call('HINCRBY', job, 'retries', 1)
  redis.call('HSET', job, 'transient_code', ARGV[11], 'transient_task', fields[7] or '')
  count(KEYS[10], {'retries', 1})
end
redis.call('HDEL', job, 'nonce', 'unknown_why', 'hint', 'hint_by', 'look_at_ms', 'billed', 'billed_micro_usd', 'task_id',
  'submitted_at_ms', 'unreadable_why', 'unreadable_since_ms')
if ARGV[6] == '1' and fields[5] then
  give_back(KEYS[7], KEYS[11], KEYS[12], gate, fields[5], fields[8], fields[1] ~= 'submitting')
end
if fields[1] == 'unknown' then
  redis.call('ZREM', KEYS[8], id)
end
note(job, now_ms(), 'waiting', ARGV[5])
redis.call('ZREM', slots, id)
if redis.call('HGET', gate, 'trial') == ARGV[2] then
  -- It came to nothing and told nothing: the next one may be tried as soon as the gate is open.
  redis.call('HSET', gate, 'trial_at_ms', 0)
end
local rank = fields[3]
if ARGV[8] == '1' then
  rank = rank_of(math.floor(tonumber(rank) / 10000000000) * 3, now_us())
  redis.call('HSET', job, 'rank', rank)
end
if tonumber(ARGV[10]) > 0 then
  park(KEYS[9], due, id, now_ms() + tonumber(ARGV[10]), fields[4])
else
  line_up(waiting, due, id, rank, fields[4])
end
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[3]), tonumber(ARGV[4]))
table.insert(granted, 1, 'released')
return granted
