-- Settles a job whose deadline passed before it was sent to the vendor: nothing is billed.
-- Uses: job, ending, grant
-- Returns: granted job ids; nothing if it has no deadline, or time left, or was sent meanwhile.
local record = read_job('deadline_at_ms', unpack(OF_EVENT))
if record.stage ~= 'waiting' or (tonumber(record.deadline_at_ms) or math.huge) > now_ms() then
  return false
end
end_job(record, outcome_cause)
return grant()
