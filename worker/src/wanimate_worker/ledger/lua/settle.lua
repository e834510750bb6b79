-- Records a job's outcome, frees its slot and hands it to the next waiting jobs, in one step.
-- Counts how long the vendor had the task, and whether its callback came before a poll noticed the end.
-- KEYS: job, waiting, slots, due, gate, limits, failed, durations, tally, billed, unknown, spent,
--       balance
-- ARGV: job id, attempt nonce, claim token or '', outcome (JSON), lease (ms), most grants, cause,
--       time to live of a failed job (ms) or '' for a success, field that counts its duration or '',
--       time to live of the durations (ms), '1' if the caller delivers the outcome, kind of outcome,
--       '1' if the vendor surely did not accept the submission, when the vendor completed the task by its own clock
--       (ms) or '', kind of job or '', how long it took (ms) or '', where a lost submission is given up: '=' and the task
--       id that a callback had named when that was decided, else ''
-- Returns: {'settled' | 'lost', granted job ids...}. Lost: the attempt or the claim is no longer the caller's.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, token = ARGV[1], ARGV[3]
local fields = redis.call('HMGET', job, 'stage', 'nonce', 'look_at_ms', 'history', 'billed', 'hint',
  'billed_micro_usd')
local stage = fields[1]
if fields[2] ~= ARGV[2] or (stage ~= 'submitting' and stage ~= 'unknown' and stage ~= 'running') then
  return {'lost'}
end
if token ~= '' and tonumber(redis.call('ZSCORE', due, id)) ~= tonumber(token) then
  return {'lost'}
end
if ARGV[17] ~= '' and (stage ~= 'unknown' or ARGV[17] ~= table.concat({'=', fields[6] or ''})) then
  -- A callback has named its task meanwhile; it may even be on record.
  return {'lost'}
end
local now = now_ms()
redis.call('HSET', job, 'stage', 'settled', 'outcome', ARGV[4], 'settled_at_ms', now,
  'delivering_until_ms', ARGV[11] == '1' and now + tonumber(ARGV[5]) or 0,
  'history', noted(fields[4], now, 'settled', ARGV[7]))
if ARGV[8] ~= '' then
  note_failed(KEYS[7], id, now, ARGV[8])
end
if ARGV[9] ~= '' then
  learn(KEYS[8], ARGV[9], fields[3], ARGV[10])
end
local counts = {table.concat({'ended', ARGV[12]}, ':'), 1}
if ARGV[14] ~= '' then
  -- Clocks differ: never less than nothing.
  observe(counts, 'lag', LAG_EDGES_MS, math.max(0, now - tonumber(ARGV[14])))
end
if ARGV[15] ~= '' then
  observe(counts, table.concat({'took', ARGV[15]}, ':'), TOOK_EDGES_MS, tonumber(ARGV[16]))
end
count(KEYS[9], counts)
if ARGV[13] == '1' and fields[5] then
  give_back(KEYS[10], KEYS[12], KEYS[13], gate, fields[5], fields[7], stage ~= 'submitting')
  redis.call('HDEL', job, 'billed', 'billed_micro_usd')
end
if stage == 'unknown' then
  redis.call('ZREM', KEYS[11], id)
end
redis.call('ZREM', slots, id)
if stage == 'submitting' then
  -- The vendor has answered: it refuses this request.
  answered(gate, ARGV[2])
end
redis.call('ZADD', due, now + tonumber(ARGV[5]), id)
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[5]), tonumber(ARGV[6]))
table.insert(granted, 1, 'settled')
return granted
