-- A job's record, and the one way in which its stage changes.
-- Keys: job, waiting, parked, slots, due, unknown

-- Reads the job's stage, its history and other fields, by name; what is missing is nil.
local function read_job(...)
  local names = {'stage', 'history', ...}
  local record, values = {}, redis.call('HMGET', job, unpack(names))
  for i, name in ipairs(names) do
    record[name] = values[i] or nil
  end
  return record
end

-- Returns a history with one line more: time (ms), stage and cause; the last 50 lines. The first transition of a job is not
-- among them: waiting_at_ms says it, so a backlog costs no memory for its history.
local function noted(history, at_ms, stage, cause)
  local lines = {}
  for line in string.gmatch(history or '', '[^\n]+') do
    lines[#lines + 1] = line
  end
  local why = string.gsub(cause, '%c', ' ')
  lines[#lines + 1] = table.concat({whole(at_ms), stage, why}, ' ')
  return table.concat(lines, '\n', math.max(1, #lines - 49))
end

-- When a job came to a stage.
local STAMPS = {waiting = 'waiting_at_ms', following = 'waiting_at_ms', submitting = 'begun_at_ms',
  running = 'submitted_at_ms', keeping = 'rendered_at_ms', settled = 'settled_at_ms', delivered = 'delivered_at_ms'}
local IN_SLOT = {submitting = true, unknown = true, running = true}

-- Takes a step to a stage, if the state table has it for this script, and notes what is to be written of it.
local function take_step(record, to, cause)
  local from = record.stage or ''
  if not (TRANSITIONS[from] and TRANSITIONS[from][to]) then
    error(table.concat({'the state table has no step from', from, 'to', to}, ' '))
  end
  record.left, record.fields = record.left or from, record.fields or {}
  local fields = record.fields
  if from ~= '' then
    record.history = noted(record.history, now_ms(), to, cause)
    append(fields, {'history', record.history})
  end
  if STAMPS[to] and (to ~= 'waiting' or from == '') then
    append(fields, {STAMPS[to], whole(now_ms())})
  end
  record.stage = to
end

-- Writes the steps that were taken: stage, time stamps and history with other fields, pairs of field and value; fields that
-- mean nothing any more are dropped. A job is in `slots` while its stage needs one, in `unknown` while it is, and in `due`
-- at a moment (ms) or, where none is given, as before. A script that moves it to waiting enqueues or parks it.
local function write_steps(record, due_ms, fields, dropped)
  local from, to, set = record.left, record.stage, record.fields
  append(set, fields)
  redis.call('HSET', job, 'stage', to, unpack(set))
  if dropped then
    redis.call('HDEL', job, unpack(dropped))
  end
  record.left, record.fields = nil, nil
  if from == 'unknown' then
    redis.call('ZREM', unknown, job_id)
  elseif to == 'unknown' then
    redis.call('ZADD', unknown, now_ms(), job_id)
  end
  if from == 'waiting' and to == 'settled' then
    redis.call('ZREM', waiting, job_id)
    redis.call('ZREM', parked, job_id)
    redis.call('ZREM', slots, job_id)
  elseif IN_SLOT[from] and not IN_SLOT[to] then
    redis.call('ZREM', slots, job_id)
  elseif from == 'delivered' and IN_SLOT[to] then
    redis.call('ZADD', slots, now_ms(), job_id)
  end
  if due_ms then
    redis.call('ZADD', due, whole(due_ms), job_id)
  elseif to == 'delivered' or to == 'keeping' then
    redis.call('ZREM', due, job_id)
  end
end

-- Moves the job to a stage: the one way in which that changes.
local function transition(record, to, cause, due_ms, fields, dropped)
  take_step(record, to, cause)
  write_steps(record, due_ms, fields, dropped)
end
