-- Settles a job whose video was copied, or can be no more; its slot was freed before.
-- Keys: keeping, keeping_later
-- Uses: job, ending
-- Returns: whether its outcome must be delivered; not if another keeper was first.
local record = read_job('expires_at_ms', unpack(OF_EVENT))
if record.stage ~= 'keeping' then
  return false
end
local result, counts = cjson.decode(outcome).result, {'copies:lost', 1}
if type(result) == 'table' and result.kept == true then
  local bytes = 0
  for _, file in ipairs(result.files or {}) do
    bytes = bytes + file.size_bytes
  end
  counts = {'copies:copied', 1, 'copies:bytes', bytes}
end
end_job(record, outcome_cause, nil, {'rendered', 'keep_why', 'keep_tries'}, counts)
redis.call('ZREM', keeping, job_id)
redis.call('ZREM', keeping_later, table.concat({record.expires_at_ms, job_id}, ' '))
return true
